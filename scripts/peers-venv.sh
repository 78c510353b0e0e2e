#!/usr/bin/env bash
# Make an environment of its own for each optimizer that benchmarks/quality measures beside us:
# nothing of ours needs them, and one of them needs old versions of what we use.
# Usage: scripts/peers-venv.sh [optuna] [ax] [sigoptlite]   all of them when none is named
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-.venv/bin/python}
[ -x "$python" ] || python=python3
[ $# -gt 0 ] || set -- optuna ax sigoptlite

# An environment is complete when this can be imported; what is installed into it; whether it borrows
# torch (some GB), which it finds in ours after its own packages.
make_peer() {
    local name=$1 check=$2 borrows=$3
    shift 3
    local folder=.venv-peers/$name
    if "$folder/bin/python" -c "$check" 2>/dev/null; then return; fi
    "$python" -m venv --clear "$folder"
    if [ "$borrows" = yes ]; then
        "$python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))' \
            >"$("$folder/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/ours.pth"
    fi
    "$folder/bin/pip" install --quiet --disable-pip-version-check "$@" >&2
    "$folder/bin/python" -c "$check"
}

for peer in "$@"; do
    case $peer in
    optuna) make_peer optuna 'import optuna, torch; assert optuna.__version__ == "5.0.0"' yes 'optuna==5.0.0' ;;
    ax) make_peer ax 'import ax.api.client' yes 'ax-platform==1.3.1' ;;
    sigoptlite)
        # libsigopt asks for a NumPy that has no wheels for Python 3.11; it works with a newer one.
        make_peer sigoptlite 'import numpy' no 'numpy==1.26.4' 'scipy==1.11.4' 'sigopt==8.8.3' 'setuptools<81' 'jsonschema<4'
        .venv-peers/sigoptlite/bin/pip install --quiet --disable-pip-version-check --no-deps \
            'libsigopt==1.0.0' 'sigoptlite==0.1.2' 'qmcpy==1.2' >&2
        .venv-peers/sigoptlite/bin/python -c 'import sigopt, sigoptlite.driver'
        ;;
    *) echo "no such peer: $peer; there are optuna, ax, sigoptlite" >&2 && exit 2 ;;
    esac
    echo ".venv-peers/$peer/bin/python"
done
