#!/bin/sh
# Runs `airflow ARGUMENTS`, with the secrets that the init service made (SPEECHMILL_SECRETS: a file of NAME=value lines).
set -eu
if [ -n "${SPEECHMILL_SECRETS:-}" ]; then
    set -a
    . "$SPEECHMILL_SECRETS"
    set +a
fi
case "${1:-}" in
    python) exec "$@" ;;
    *) exec airflow "$@" ;;
esac
