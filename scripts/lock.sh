#!/bin/sh
# Renews every lock from its .in file: scripts/lock.sh [--upgrade]. Hashes, and no index address, go into the lock; an
# overrides.txt beside the .in file (overrides-gpu.txt beside requirements-gpu.in) replaces what its packages ask for.
set -eu
for source in requirements*.in containers/*/requirements*.in; do
    overrides=$(dirname "$source")/overrides.txt
    case $source in */requirements-gpu.in) overrides=$(dirname "$source")/overrides-gpu.txt ;; esac
    [ -f "$overrides" ] && set -- "$@" --overrides "$overrides"
    .venvs/uv/bin/uv pip compile -q --python-version 3.11 --generate-hashes --no-header "$@" "$source" -o "${source%.in}.txt"
    echo "  ${source%.in}.txt: $(grep -c '^[a-zA-Z0-9]' "${source%.in}.txt") packages"
    [ -f "$overrides" ] && shift 2
done
true
