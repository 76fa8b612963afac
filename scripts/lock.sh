#!/bin/sh
# Renews every lock from its .in file: scripts/lock.sh [--upgrade]. Hashes, and no index address, go into the lock.
set -eu
for source in requirements*.in containers/*/requirements.in; do
    .venvs/uv/bin/uv pip compile -q --python-version 3.11 --generate-hashes --no-header "$@" "$source" -o "${source%.in}.txt"
    echo "  ${source%.in}.txt: $(grep -c '^[a-zA-Z0-9]' "${source%.in}.txt") packages"
done
