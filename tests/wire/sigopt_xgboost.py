"""`sigopt.xgboost` as a user of SigOpt wrote it; run by the official client's own interpreter.

Only the address and the token are ours, and both come from the environment. Prints what it saw as
JSON for the test to look at.
"""

# ruff: noqa: T201

import json

import numpy
import sigopt
import sigopt.xgboost
import xgboost

generator = numpy.random.default_rng(7)
rows = generator.normal(size=(240, 4))
labels = (rows[:, 0] + 0.5 * rows[:, 1] ** 2 > 0.3).astype(int)
names = ["length", "width", "depth", "mass"]
training = xgboost.DMatrix(rows[:160], label=labels[:160], feature_names=names)
validation = xgboost.DMatrix(rows[160:], label=labels[160:], feature_names=names)
seen: dict[str, object] = {}

sigopt.set_project("trees")
sigopt.create_project("trees", "Trees")

made = sigopt.xgboost.run(
    params={"objective": "binary:logistic", "max_depth": 3, "eta": 0.3},
    dtrain=training,
    evals=[(validation, "holdout")],
    num_boost_round=12,
    verbose_eval=False,
    run_options={"name": "one model"},
)
made.run.end()
seen["run"] = made.run.id
seen["run_accuracy"] = sigopt.get_run(made.run.id).values["holdout-accuracy"].value

# What to search comes from the helper: five parameters, four with `"transformation": null`.
tuned = sigopt.xgboost.experiment(
    experiment_config={"name": "defaults of the helper", "budget": 4},
    dtrain=training,
    evals=validation,
    params={"objective": "binary:logistic"},
)
seen["experiment"] = tuned.id
seen["finished"] = tuned.is_finished()
seen["best"] = [run.id for run in tuned.get_best_runs()]

# Some parameters with their bounds, some without, and metrics of one's own.
chosen = sigopt.xgboost.experiment(
    experiment_config={
        "name": "of my own",
        "parameters": [
            {"name": "eta"},
            {"name": "max_depth", "type": "int", "bounds": {"min": 2, "max": 5}},
        ],
        "metrics": [
            {"name": "F1", "strategy": "optimize", "objective": "maximize"},
            {"name": "holdout-recall", "strategy": "store", "objective": "maximize"},
        ],
        "budget": 3,
    },
    dtrain=training,
    evals=[(validation, "holdout")],
    params={"objective": "binary:logistic", "tree_method": "hist"},
    num_boost_round=6,
    early_stopping_rounds=None,
    run_options={"autolog_xgboost_defaults": False},
)
seen["chosen"] = chosen.id
seen["chosen_best"] = [run.values["holdout-F1"].value for run in chosen.get_best_runs()]
print(json.dumps(seen))
