#!/usr/bin/env bash
# The whole loop in curl: create, suggest, train, observe, and the efficient frontier at the end.
# Needs bash, curl and python3 (to read JSON), and a running `tradeoff up`, or TRADEOFF_API_URL and
# TRADEOFF_API_TOKEN.
set -euo pipefail

api=${TRADEOFF_API_URL:-http://127.0.0.1:8080}/v1
token=${TRADEOFF_API_TOKEN:-$(cat "${TRADEOFF_DATA_DIR:-$HOME/.tradeoff}/token")}
budget=${1:-12}

# call METHOD PATH [BODY] prints the answer. The token is the user name and the password is empty; curl
# reads them from a file, since every user of the machine sees the arguments of a program. With an
# Idempotency-Key a write that is sent again takes effect once, so that curl may try again.
call() {
    curl --silent --show-error --fail-with-body --retry 5 --retry-connrefused \
        --config <(printf 'user = "%s:"\n' "$token") \
        --header "Idempotency-Key: $(date +%s)-$$-$RANDOM-$RANDOM" \
        --request "$1" "$api$2" ${3:+--data "$3"}
}

# read_json EXPRESSIONS prints parts of the JSON on standard input, which is called `it`.
read_json() { python3 -c "import json, sys; it = json.load(sys.stdin); print($1)"; }

# train LAYERS LEARNING_RATE prints accuracy and milliseconds: put your own training here.
train() {
    python3 - "$@" <<'PYTHON'
import math, sys

layers, rate = int(sys.argv[1]), float(sys.argv[2])
if layers * rate > 0.2:
    sys.exit("diverged")
print(1 - 0.3 / layers - 0.02 * (math.log10(rate) + 2) ** 2, 0.5 + 0.2 * layers)
PYTHON
}

experiment=$(call POST /experiments '{
    "name": "the loop in curl",
    "parameters": [
        {"name": "layers", "type": "int", "bounds": {"min": 1, "max": 20}},
        {"name": "learning_rate", "type": "double", "bounds": {"min": 1e-4, "max": 1},
         "transformation": "log"}
    ],
    "metrics": [
        {"name": "accuracy", "objective": "maximize"},
        {"name": "inference_ms", "objective": "minimize"}
    ],
    "observation_budget": '"$budget"'
}' | read_json 'it["id"]')
echo "experiment $experiment"

for ((i = 1; i <= budget; i++)); do
    suggestion=$(call POST "/experiments/$experiment/suggestions")
    read -r id source layers rate < <(read_json \
        'it["id"], it["source"], it["assignments"]["layers"], it["assignments"]["learning_rate"]' \
        <<<"$suggestion")
    if values=$(train "$layers" "$rate" 2>/dev/null); then
        read -r accuracy ms <<<"$values"
        body='{"suggestion": "'$id'", "values": [
            {"name": "accuracy", "value": '$accuracy'}, {"name": "inference_ms", "value": '$ms'}]}'
    else
        values=failed
        body='{"suggestion": "'$id'", "failed": true}'
    fi
    call POST "/experiments/$experiment/observations" "$body" >/dev/null
    echo "$i of $budget ($source): layers $layers, learning rate $rate -> $values"
done

echo "efficient frontier:"
call GET "/experiments/$experiment/best_assignments" | python3 -m json.tool
