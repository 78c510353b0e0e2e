#!/usr/bin/env bash
# The first loop with nothing but curl; python3 only reads JSON and plays the part of the training.
#
# Start a server with `tradeoff up`, then in another terminal: examples/curl.sh
set -euo pipefail

URL=${TRADEOFF_API_URL:-http://127.0.0.1:8080}
TOKEN=${TRADEOFF_API_TOKEN:-$(cat "${TRADEOFF_DATA_DIR:-$HOME/.tradeoff}/token")}

api() { # METHOD PATH [BODY]: the token is the user's name, the password is empty
  curl --silent --show-error --fail-with-body --user "$TOKEN:" --request "$1" \
    --header "Content-Type: application/json" --header "Idempotency-Key: $RANDOM$RANDOM$RANDOM" \
    ${3:+--data "$3"} "$URL/v1$2"
}
field() { # the part of the JSON on standard input that a Python expression names
  python3 -c "import json, sys; body = json.load(sys.stdin); print($1)"
}

experiment=$(api POST /experiments '{
  "name": "First loop with curl",
  "parameters": [
    {"name": "width", "type": "int", "bounds": {"min": 8, "max": 256}},
    {"name": "rate", "type": "double", "bounds": {"min": 1e-5, "max": 1e-1}, "transformation": "log"}
  ],
  "metrics": [
    {"name": "accuracy", "objective": "maximize"},
    {"name": "milliseconds", "objective": "minimize"}
  ],
  "observation_budget": 10
}' | field 'body["id"]')

for _ in $(seq 10); do
  suggestion=$(api POST "/experiments/$experiment/suggestions")
  # Your training goes here. It prints an observation's values, or fails.
  if values=$(field '(lambda width, rate: json.dumps([
      {"name": "accuracy", "value": 1 - 1 / width - abs(__import__("math").log10(rate) + 3) / 10},
      {"name": "milliseconds", "value": 0.5 + width / 50},
    ]))(**body["assignments"])' <<<"$suggestion"); then
    outcome="\"values\": $values"
  else
    outcome='"failed": true'
  fi
  id=$(field 'body["id"]' <<<"$suggestion")
  api POST "/experiments/$experiment/observations" "{\"suggestion\": \"$id\", $outcome}" >/dev/null
done

# The efficient frontier.
api GET "/experiments/$experiment/best_assignments" | field '"\n".join(
  f"""{[value["value"] for value in best["values"]]} {best["assignments"]}""" for best in body["data"])'
