"""The classical loop as a user of SigOpt wrote it; run by the official client's own interpreter.

Only the address and the token are ours, and both come from the environment. Prints what it saw as
JSON for the test to look at.
"""

# ruff: noqa: T201

import json
import math

from sigopt import Connection
from sigopt.exception import ApiException

connection = Connection()
seen: dict[str, object] = {}

experiment = connection.experiments().create(
    name="Classical loop",
    parameters=[
        {"name": "x", "type": "double", "bounds": {"min": -5.0, "max": 5.0}},
        {"name": "n", "type": "int", "bounds": {"min": 1, "max": 20}},
        {
            "name": "kind",
            "type": "categorical",
            "categorical_values": [{"name": "a"}, {"name": "b"}],
        },
    ],
    metrics=[
        {"name": "score", "objective": "maximize"},
        {"name": "cost", "objective": "minimize", "strategy": "optimize"},
    ],
    observation_budget=14,
    parallel_bandwidth=1,
    project=None,
    metadata={"template": "python"},
)
seen["id"] = experiment.id
seen["parameters"] = [parameter.name for parameter in experiment.parameters]
seen["bounds"] = [experiment.parameters[1].bounds.min, experiment.parameters[1].bounds.max]

failures = 0
while experiment.progress.observation_count < experiment.observation_budget:
    suggestion = connection.experiments(experiment.id).suggestions().create()
    values = suggestion.assignments
    assert isinstance(values["n"], int), values
    if values["n"] > 15:
        failures += 1
        connection.experiments(experiment.id).observations().create(
            suggestion=suggestion.id, failed=True
        )
    else:
        score = math.cos(values["x"]) + (0.1 if values["kind"] == "a" else 0.0)
        connection.experiments(experiment.id).observations().create(
            suggestion=suggestion.id,
            values=[
                {"name": "score", "value": score, "value_stddev": 0.01},
                {"name": "cost", "value": values["n"] + 0.5},
            ],
            metadata={"host": "laptop", "gpu": None},
        )
    experiment = connection.experiments(experiment.id).fetch()
seen["failures"] = failures
seen["count"] = experiment.progress.observation_count
seen["last"] = experiment.progress.last_observation.id

best = connection.experiments(experiment.id).best_assignments().fetch()
seen["best"] = [
    {"assignments": dict(each.assignments), "values": {v.name: v.value for v in each.values}}
    for each in best.data
]

batch = (
    connection.experiments(experiment.id)
    .observations()
    .create_batch(
        observations=[
            {
                "assignments": {"x": 0.1 * index, "n": index + 1, "kind": "b"},
                "values": [{"name": "score", "value": 0.5}, {"name": "cost", "value": 1.0 + index}],
            }
            for index in range(3)
        ]
    )
)
seen["batch"] = len(batch.data)

everything = connection.experiments(experiment.id).observations().fetch(limit=4)
seen["pages"] = len({row.id for row in everything.iterate_pages()})

own = (
    connection.experiments(experiment.id)
    .suggestions()
    .create(assignments={"x": 1.0, "n": 3, "kind": "a"}, metadata={"from": "me"})
)
seen["own"] = [own.state, dict(own.assignments)]
seen["open"] = connection.experiments(experiment.id).suggestions().fetch(state="open").count
connection.experiments(experiment.id).suggestions().delete(state="open")
seen["open_after"] = connection.experiments(experiment.id).suggestions().fetch(state="open").count

updated = connection.experiments(experiment.id).update(name="Renamed", metadata=None)
seen["updated"] = [updated.name, updated.metadata]

seen["listed"] = [row.id for row in connection.experiments().fetch(limit=1, state="all").data]
token = connection.tokens("self").fetch()
seen["client"] = token.client
by_client = (
    connection.clients(token.client)
    .experiments()
    .create(
        name="single", parameters=[{"name": "x", "type": "double", "bounds": {"min": 0, "max": 1}}]
    )
)
seen["unnamed_metric"] = [by_client.metrics[0].name, by_client.metrics[0].objective]
first = connection.experiments(by_client.id).suggestions().create()
observation = (
    connection.experiments(by_client.id)
    .observations()
    .create(suggestion=first.id, values=[{"value": 0.25}])
)
seen["single_value"] = [observation.values[0].name, observation.values[0].value]
seen["legacy_value"] = observation.value

try:
    connection.experiments(by_client.id).observations().create(suggestion=first.id, values=[])
except ApiException as error:
    seen["refused"] = [error.status_code, error.message]
try:
    connection.experiments(123456789).fetch()
except ApiException as error:
    seen["missing"] = error.status_code

connection.experiments(by_client.id).delete()
seen["deleted"] = connection.experiments(by_client.id).fetch().state
print(json.dumps(seen))
