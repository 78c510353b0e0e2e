#!/usr/bin/env bash
# Make an environment with Optuna, which benchmarks/service measures beside us.
# It gets one of its own: nothing of ours needs it.
# Usage: scripts/optuna-venv.sh [FOLDER]   prints the interpreter's path at the end
set -euo pipefail
cd "$(dirname "$0")/.."
folder=${1:-.venv-optuna}
python=${PYTHON:-.venv/bin/python}
[ -x "$python" ] || python=python3
if ! "$folder/bin/python" -c 'import optuna, psycopg2; assert optuna.__version__ == "5.0.0"' 2>/dev/null; then
    "$python" -m venv --clear "$folder"
    "$folder/bin/pip" install --quiet -c constraints.txt 'optuna==5.0.0' psycopg2-binary >&2
fi
echo "$folder/bin/python"
