#!/usr/bin/env bash
# What the images are made of: written down with hashes, looked over, and listed.
#
#   scripts/supply-chain.sh lock     locks/*.txt anew, from pyproject.toml and constraints.txt
#   scripts/supply-chain.sh audit    known weaknesses of what is locked; asks the package index
#   scripts/supply-chain.sh sbom     dist/sbom-*.json, in the form of CycloneDX
#
# The tools get an environment of their own: nothing of ours needs them.
set -euo pipefail
cd -P "$(dirname "${BASH_SOURCE[0]}")/.."
tools=.venv-supply
images="server worker"

if ! "$tools/bin/python" -c 'import cyclonedx_py, pip_audit, uv' 2>/dev/null; then
    python3 -m venv --clear "$tools"
    "$tools/bin/pip" install --quiet 'uv==0.13.9' 'pip-audit==2.10.1' 'cyclonedx-bom==7.5.0' >&2
fi

for image in $images; do
    lock=locks/$image.txt
    case ${1:-} in
    lock)
        "$tools/bin/uv" pip compile pyproject.toml --extra "$image" --extra otel -c constraints.txt \
            --universal --python-version 3.11 --generate-hashes \
            --no-emit-index-url --no-annotate --no-header --quiet --output-file "$lock"
        ;;
    audit) "$tools/bin/pip-audit" --strict --disable-pip --require-hashes --requirement "$lock" ;;
    sbom)
        mkdir -p dist
        "$tools/bin/cyclonedx-py" requirements "$lock" --output-file "dist/sbom-$image.json"
        ;;
    *)
        sed -n '2,8s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2
        exit 2
        ;;
    esac
done
