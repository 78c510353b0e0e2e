#!/usr/bin/env bash
# Make an environment with Ray Tune, for the tests that need it: 440 MB and a minute or two.
# Not the newest Ray: 2.60 ends when its own agents take more than 15 seconds to start,
# as they do on a busy machine (ray-project/ray#65983).
# Usage: scripts/ray-venv.sh [FOLDER]   prints the folder of its packages at the end
set -euo pipefail
cd "$(dirname "$0")/.."
WANTED='ray[tune]==2.49.2' exec scripts/integrations-venv.sh "${1:-.venv-ray}"
