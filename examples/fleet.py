"""One training process of many: a lease and a name, failures of the machine, early stopping.

Start a server with `tradeoff up`, then in other terminals, as often as you like, each with a name:
python examples/fleet.py gpu-0
"""

import sys
import time

import numpy as np
from sklearn import datasets, linear_model, model_selection

from tradeoff import Client

images, labels = datasets.load_digits(return_X_y=True)
train_x, test_x, train_y, test_y = model_selection.train_test_split(images, labels, random_state=0)

# Under the same name again, this process goes on with the suggestion that it left open.
client = Client(worker_id=sys.argv[1] if len(sys.argv) > 1 else "gpu-0")
running = [each for each in client.experiments.fetch(search="Fleet") if each.name == "Fleet"]
experiment = (
    running[0]
    if running
    else client.experiments.create(
        name="Fleet",
        parameters=[
            {
                "name": "step_size",
                "type": "double",
                "bounds": {"min": 1e-6, "max": 1.0},
                "transformation": "log",
            },
            {"name": "penalty", "type": "categorical", "categorical_values": ["l1", "l2"]},
        ],
        metrics=[
            {"name": "accuracy", "objective": "maximize"},
            {"name": "train_seconds", "objective": "minimize"},
        ],
        observation_budget=20,
        parallel_bandwidth=4,
        early_stopping={"min_trainings": 3},
    )
)
# What is silent for a minute is suggested to others; a disk that is away says nothing of a model.
for suggestion in experiment.loop(lease_seconds=60, transient=OSError):
    with suggestion:
        model = linear_model.SGDClassifier(
            penalty=suggestion.assignments["penalty"],
            learning_rate="constant",
            eta0=suggestion.assignments["step_size"],
            random_state=0,
        )
        began = time.thread_time()
        for epoch in range(15):
            model.partial_fit(train_x, train_y, classes=np.arange(10))
            accuracy = float(model.score(test_x, test_y))
            if suggestion.checkpoint(step=epoch, accuracy=accuracy).should_stop:
                break
        suggestion.observe(accuracy=accuracy, train_seconds=time.thread_time() - began)
        print(
            f"{epoch + 1:2} epochs, accuracy {accuracy:.3f}: {suggestion.assignments}", flush=True
        )

for best in experiment.frontier():
    print(best.value_by_metric, best.assignments)
