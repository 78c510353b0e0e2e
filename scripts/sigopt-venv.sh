#!/usr/bin/env bash
# Make an environment with the official sigopt client, for the tests of tests/wire that are marked compat.
# It pins old versions of what we use ourselves, so it gets an environment of its own.
# Usage: scripts/sigopt-venv.sh [FOLDER]   prints the interpreter's path at the end
set -euo pipefail
cd "$(dirname "$0")/.."
folder=${1:-.venv-sigopt}
python=${PYTHON:-.venv/bin/python}
[ -x "$python" ] || python=python3
# Tests that run side by side come here at the same moment.
exec 9<scripts/sigopt-venv.sh
if command -v flock >/dev/null; then flock 9; fi
if ! "$folder/bin/python" -c 'import sigopt, xgboost; assert sigopt.version.VERSION == "8.8.3"' 2>/dev/null; then
    "$python" -m venv --clear "$folder"
    # The client imports pkg_resources, which newer setuptools no longer have. xgboost is for
    # sigopt.xgboost; the build without CUDA, which saves 0.7 GB.
    "$folder/bin/pip" install --quiet --no-compile 'sigopt==8.8.3' 'setuptools<81' 'xgboost-cpu==2.1.4' >&2
fi
echo "$folder/bin/python"
