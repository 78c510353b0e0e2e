#!/usr/bin/env bash
# Make an environment with the libraries that tradeoff.integrations works with, for tests/integrations.
# It sees the packages of .venv (torch, keras, scikit-learn), so that only the rest is installed: about
# 270 MB and a minute. Ray is not in it (440 MB): scripts/ray-venv.sh has an environment for that, and
# says by WANTED what goes into it.
# Usage: scripts/integrations-venv.sh [FOLDER]   prints the folder of its packages at the end
set -euo pipefail
cd "$(dirname "$0")/.."
folder=${1:-.venv-integrations}
python=${PYTHON:-.venv/bin/python}
wanted=${WANTED:-'xgboost-cpu==3.2.0 lightgbm==4.7.0 optuna==5.0.0 lightning==2.6.6 transformers==5.24.0 accelerate==1.15.0 hydra-core==1.3.8'}
# Tests that run side by side come here at the same moment.
exec 9<scripts/integrations-venv.sh
if command -v flock >/dev/null; then flock 9; fi
packages() { "$1" -c 'import sysconfig; print(sysconfig.get_path("purelib"))'; }
if [ "$(cat "$folder/.installed" 2>/dev/null)" != "$wanted" ]; then
    "$python" -m venv --clear "$folder"
    packages "$python" >"$(packages "$folder/bin/python")/shared.pth"
    # shellcheck disable=SC2086  # one word a package
    "$folder/bin/pip" install --quiet --no-compile --disable-pip-version-check -c constraints.txt $wanted >&2
    echo "$wanted" >"$folder/.installed"
fi
packages "$folder/bin/python"
