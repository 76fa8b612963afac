#!/bin/sh
# Makes one environment from its hashed lock: scripts/venv.sh NAME LOCK [overlay]. Nothing is resolved here; a second run is
# make's to skip (the stamp is newer than the lock). "overlay" installs flat into .venvs/NAME, for test tools.
set -eu
name=$1 lock=$2 kind=${3:-venv}
dir=.venvs/$name uv=.venvs/uv/bin/uv
start=$(date +%s)
case $kind in
    overlay)
        rm -rf "$dir"
        "$uv" pip install -q --python .venvs/uv/bin/python --no-deps --require-hashes -r "$lock" --target "$dir" ;;
    venv)
        "$uv" venv -q --clear --python .venvs/uv/bin/python "$dir"
        "$uv" pip install -q --python "$dir/bin/python" --no-deps --require-hashes -r "$lock"
        # Test tools come after the environment's own packages, and never shadow them.
        printf '%s\n' ../../../../test-tools > "$(echo "$dir"/lib/python*/site-packages)/test-tools.pth" ;;
esac
# Model files that come in no wheel.
if [ -f "containers/$name/$name/models.py" ]; then
    PYTHONPATH=containers/stagekit:containers/$name "$dir/bin/python" -m "$name.models"
fi
touch "$dir/.stamp"
echo "  $dir ready in $(($(date +%s) - start)) s ($(du -sh "$dir" | cut -f1))"
