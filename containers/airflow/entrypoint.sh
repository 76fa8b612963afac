#!/bin/sh
# Runs `airflow ARGUMENTS`, with the secrets that the init service made (SPEECHMILL_SECRETS: a file of NAME=value lines).
# `airflow …`, `bash …` and `python …` run as they are: so the official chart starts its containers (deploy/gke/values.yaml).
set -eu
if [ -n "${SPEECHMILL_SECRETS:-}" ]; then
    set -a
    . "$SPEECHMILL_SECRETS"
    set +a
fi
case "${1:-}" in
    airflow | bash | python) exec "$@" ;;
    *) exec airflow "$@" ;;
esac
