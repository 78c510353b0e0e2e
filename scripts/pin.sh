#!/usr/bin/env bash
# Writes constraints.txt, and locks/ after it, anew from what .venv holds. Run it after changing a range in pyproject.toml
# and installing with `.venv/bin/python -m pip install --upgrade -e '.[dev]'`.
set -euo pipefail
cd -P "$(dirname "${BASH_SOURCE[0]}")/.."

{
    sed -n '/^#/p' constraints.txt
    .venv/bin/python -m pip --disable-pip-version-check freeze --exclude-editable 2>/dev/null |
        sed 's/+[a-z0-9.]*$//'
} >constraints.txt.new
mv constraints.txt.new constraints.txt
scripts/supply-chain.sh lock
