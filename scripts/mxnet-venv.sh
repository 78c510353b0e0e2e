#!/usr/bin/env bash
# Make the environment of examples/mxnet_sentiment, with this clone's client in it.
# Usage: scripts/mxnet-venv.sh [FOLDER]   prints the interpreter's path at the end
set -euo pipefail
cd "$(dirname "$0")/.."
folder=${1:-.venv-mxnet}
python=${PYTHON:-.venv/bin/python}
[ -x "$python" ] || python=python3
# Tests that run side by side come here at the same moment.
exec 9<scripts/mxnet-venv.sh
if command -v flock >/dev/null; then flock 9; fi
if ! "$folder/bin/python" -c 'import httpx, mxnet' 2>/dev/null; then
    "$python" -m venv --clear "$folder"
    "$folder/bin/pip" install --quiet -r examples/mxnet_sentiment/requirements.txt -e . >&2
fi
echo "$folder/bin/python"
