#!/bin/sh
# From an installation that runs to a first suggestion: makes a team, prints its token (this once), creates an
# experiment with it and asks for what to try first.
#
#   sh deploy/first-suggestion.sh [TEAM]
#
# API is where it answers, TRADEOFF the command that reaches its database; both are those of docker-compose.yml.
set -eu
api=${API:-http://127.0.0.1:${TRADEOFF_PORT:-8080}}
tradeoff=${TRADEOFF:-docker compose exec -T api tradeoff}

curl --silent --fail --output /dev/null --retry 120 --retry-delay 1 --retry-all-errors "$api/health/live" || {
    echo "Nothing answers at $api; \`docker compose ps\` and \`docker compose logs\` say why." >&2
    exit 1
}

# Several words: the command and its arguments.
# shellcheck disable=SC2086
made=$($tradeoff client create "${1:-first-team}")
token=$(printf '%s' "$made" | sed -n 's/.*"api": "\([^"]*\)".*/\1/p')

# The token is no argument, which every account of the machine could read.
ask() {
    path=$1
    shift
    printf 'user = "%s:"\n' "$token" |
        curl --silent --show-error --fail-with-body --config - --header 'Content-Type: application/json' "$@" "$api/v1/$path"
}

experiment=$(ask experiments --data '{
    "name": "first",
    "parameters": [
        {"name": "learning_rate", "type": "double", "bounds": {"min": 1e-5, "max": 0.1}, "transformation": "log"},
        {"name": "layers", "type": "int", "bounds": {"min": 1, "max": 8}}
    ],
    "metrics": [{"name": "accuracy", "objective": "maximize"}, {"name": "inference_ms", "objective": "minimize"}],
    "observation_budget": 40
}' | sed 's/^{"id": *"\([0-9]*\)".*/\1/')

echo "Token of the team, shown this once: $token"
echo "Experiment $experiment of it: $api/v1/experiments/$experiment"
echo "The first suggestion:"
ask "experiments/$experiment/suggestions" --data '{}'
echo
