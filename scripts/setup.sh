#!/usr/bin/env bash
# Makes the virtual environment .venv with everything that the demo, the tests and the linters need.
#
#   scripts/setup.sh            set up, or do nothing when nothing changed since
#   PYTHON=/path/to/python …    choose the Python (3.11 or newer)
#   TORCH_INDEX=URL …           take torch from this package index (CPU only, or a certain CUDA)
#
# It may run in a folder of any name, as root or not, and from an activated environment.
set -euo pipefail
cd -P "$(dirname "${BASH_SOURCE[0]}")/.."
unset PYTHONHOME
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1 PIP_USER=0 PIP_PROGRESS_BAR=off

venv=.venv
stamp=$venv/.setup-stamp
log=$venv/setup.log

say() { printf 'setup: %s\n' "$@"; }
fail() {
    say "$@" >&2
    exit 1
}

fingerprint() { cat pyproject.toml constraints.txt scripts/setup.sh | cksum; }

# A name on the PATH proves little (version managers leave names that only print an error): ask it.
usable() { "$1" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; }

# The scripts of an environment hold its path, so a clone that was moved or copied needs a new one.
venv_is_sound() { usable "$venv/bin/python" && head -n 2 "$venv/bin/pip" 2>/dev/null | grep -qF "$PWD/$venv/"; }

# In an activated environment the Python below it, since we may be about to replace that environment.
base_of() { "$1" -c 'import sys; print(sys._base_executable or sys.executable)'; }

# First the version that constraints.txt was resolved with.
find_python() {
    local name
    for name in ${PYTHON:+"$PYTHON"} python3.11 python3.12 python3.13 python3; do
        if usable "$name"; then
            base_of "$name"
            return
        fi
    done
    fail 'no Python 3.11 or newer with its venv module was found.' \
        'Looked for python3.11, python3.12, python3.13 and python3 on the PATH.' \
        'Install one (on Debian and Ubuntu its python3.x-venv package too), or name it: make setup PYTHON=/path/to/python'
}

# Nothing is compiled to bytecode beforehand: of most packages a small part is ever imported.
# A configured folder of wheels that does not exist is no news to anybody; all else that pip says is.
pip() {
    "$venv/bin/python" -m pip --log "$log" "$@" 2>&1 |
        { grep -v --line-buffered '^WARNING: Location .* is ignored' || true; }
}

torch_installed() {
    "$venv/bin/python" -c 'from importlib.metadata import version as v; print(v("torch").partition("+")[0])' 2>/dev/null
}

# Torch by itself and first: whatever else asks for it then finds it there, and no CUDA comes along
# that nobody wanted. Asking whether a wheel is at hand beats guessing what machine this is.
install_torch() {
    local wanted
    wanted=$(sed -n 's/^torch==//p' constraints.txt)
    if [ "$(torch_installed)" = "$wanted" ]; then
        return
    elif [ -n "${TORCH_INDEX:-}" ]; then
        say "torch $wanted from TORCH_INDEX"
        pip install --quiet --no-compile --no-deps --index-url "$TORCH_INDEX" "torch==$wanted"
    elif pip install --quiet --no-compile --no-index --no-deps "torch==$wanted" >/dev/null; then
        say "torch $wanted from a local wheel"
    else
        if [ "$(uname -s)" = Linux ] && ! command -v nvidia-smi >/dev/null; then
            say 'no GPU is here, but the usual torch for Linux brings CUDA along (gigabytes).' \
                'To save them, stop and set TORCH_INDEX to the CPU index that the installation page of PyTorch names.'
        fi
        say "torch $wanted (the largest part, minutes)"
        pip install --quiet --no-compile -c constraints.txt torch
    fi
}

main() {
    local python
    if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$(fingerprint)" ] && venv_is_sound; then
        return
    fi
    SECONDS=0
    rm -f "$stamp"
    if ! venv_is_sound; then
        python=$(find_python)
        say "a virtual environment in $venv, with $("$python" --version)"
        "$python" -m venv --clear "$venv"
    fi
    trap '[ $? = 0 ] || say "stopped: the lines above say why, and $log has all that pip said" >&2' EXIT
    install_torch
    say 'all other packages (about a minute)'
    pip install --quiet --no-compile -c constraints.txt -e '.[dev]'
    fingerprint >"$stamp"
    say "ready after $SECONDS s"
}

main
