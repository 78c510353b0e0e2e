"""Two experiments as SigOpt's public examples define them; run by the official client.

The definitions and the loops are those of the examples for diatoms (Keras, 12 parameters, accuracy
against inference time) and sentiment analysis (MXNet, 6 parameters, accuracy against training time,
some trainings failed). In place of the trainings stand formulas. Prints what it saw as JSON.
"""

# ruff: noqa: T201

import json
import math
from typing import Any

from sigopt import Connection

conn = Connection()
seen: dict[str, object] = {}

# --- diatoms -------------------------------------------------------------------------------------

parameters = [
    dict(name="batch_size", type="int", bounds={"min": 8, "max": 32}),
    dict(name="conv_1_num_filters", type="int", bounds={"min": 32, "max": 256}),
    dict(name="conv_1_filter_size", type="int", bounds={"min": 2, "max": 10}),
    dict(name="conv_2_num_filters", type="int", bounds={"min": 32, "max": 256}),
    dict(name="conv_2_filter_size", type="int", bounds={"min": 2, "max": 10}),
    dict(name="conv_3_num_filters", type="int", bounds={"min": 32, "max": 256}),
    dict(name="conv_3_filter_size", type="int", bounds={"min": 2, "max": 10}),
    dict(name="log_lr", type="double", bounds={"min": math.log(1e-10), "max": math.log(1)}),
    dict(name="log_beta_1", type="double", bounds={"min": math.log(1e-2), "max": math.log(0.5)}),
    dict(name="log_beta_2", type="double", bounds={"min": math.log(1e-6), "max": math.log(0.5)}),
    dict(name="log_epsilon", type="double", bounds={"min": math.log(1e-10), "max": math.log(1e-6)}),
    dict(name="log_decay", type="double", bounds={"min": math.log(1e-10), "max": math.log(1e-1)}),
]
experiment = conn.experiments().create(
    name="DiatomSizeReduction",
    parameters=parameters,
    metrics=[
        dict(name="accuracy", objective="maximize"),
        dict(name="inference_time", objective="minimize"),
    ],
    observation_budget=20,
    parallel_bandwidth=2,
)
while experiment.progress.observation_count < experiment.observation_budget:
    suggestion = conn.experiments(experiment.id).suggestions().create()
    chosen = suggestion.assignments
    filters = sum(chosen[f"conv_{layer}_num_filters"] for layer in (1, 2, 3))
    conn.experiments(experiment.id).observations().create(
        suggestion=suggestion.id,
        values=[
            dict(name="accuracy", value=1 / (1 + abs(chosen["log_lr"] + 7)) + filters / 1e4),
            dict(name="inference_time", value=filters * chosen["conv_1_filter_size"] ** 2 / 1e6),
        ],
    )
    experiment = conn.experiments(experiment.id).fetch()
best = conn.experiments(experiment.id).best_assignments().fetch()
seen["diatoms"] = {
    "id": experiment.id,
    "parameters": {p.name: [p.type, p.bounds.min, p.bounds.max] for p in experiment.parameters},
    "count": experiment.progress.observation_count,
    "best": [{value.name: value.value for value in each.values} for each in best.iterate_pages()],
}

# --- sentiment -----------------------------------------------------------------------------------

hyperparams = json.loads(
    """[
    {"type": "double", "name": "dropout_rate", "bounds": {"max": 0.9, "min": 0.1}},
    {"type": "double", "name": "log_learning_rate",
     "bounds": {"max": 0.0, "min": -18.420680743952367}},
    {"type": "int", "bounds": {"max": 100, "min": 10}, "name": "batch_size"},
    {"type": "double", "name": "max_grad_norm", "bounds": {"max": 10, "min": 1}},
    {"type": "int", "name": "epochs", "bounds": {"max": 100, "min": 5}},
    {"type": "int", "bounds": {"max": 500, "min": 100}, "name": "embed_dim"}
]"""
)
experiment = conn.experiments().create(
    name="Multicriteria[failures] GPU-powered Sentiment Analysis (SGD Only)",
    parameters=hyperparams,
    observation_budget=4 * len(hyperparams),
    metrics=[
        {"name": "accuracy", "objective": "maximize"},
        {"name": "train_time", "objective": "minimize"},
    ],
)


def create_observation_dict(suggestion: Any) -> dict[str, Any]:
    accuracy = 85 - abs(suggestion.assignments["log_learning_rate"] + 6) * 2
    duration = suggestion.assignments["epochs"] * suggestion.assignments["embed_dim"] / 100
    failed = True
    values = None
    if accuracy > 75 and duration < 250:
        values = [
            {"name": "accuracy", "value": accuracy},
            {"name": "train_time", "value": duration},
        ]
        failed = False
    return {"suggestion": suggestion.id, "values": values, "failed": failed}


failures = 0
for _ in range(experiment.observation_budget):
    suggestion = conn.experiments(experiment.id).suggestions().create()
    observation = (
        conn.experiments(experiment.id).observations().create(**create_observation_dict(suggestion))
    )
    failures += observation.failed
best = conn.experiments(experiment.id).best_assignments().fetch()
seen["sentiment"] = {
    "id": experiment.id,
    "failures": failures,
    "count": conn.experiments(experiment.id).fetch().progress.observation_count,
    "best": [{value.name: value.value for value in each.values} for each in best.iterate_pages()],
}
print(json.dumps(seen))
