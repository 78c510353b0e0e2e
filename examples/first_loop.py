"""A first loop: tune a classifier of handwritten digits for accuracy and for speed.

Start a server with `tradeoff up`, then in another terminal: python examples/first_loop.py
"""

import time

from sklearn import datasets, ensemble, model_selection

from tradeoff import Client

images, labels = datasets.load_digits(return_X_y=True)
train_x, test_x, train_y, test_y = model_selection.train_test_split(images, labels, random_state=0)

client = Client()  # the address and the token of the `tradeoff up` on this machine
experiment = client.experiments.create(
    name="First loop",
    parameters=[
        {"name": "n_estimators", "type": "int", "bounds": {"min": 5, "max": 100}},
        {"name": "max_depth", "type": "int", "bounds": {"min": 2, "max": 16}},
        {"name": "max_features", "type": "double", "bounds": {"min": 0.05, "max": 1.0}},
    ],
    metrics=[
        {"name": "accuracy", "objective": "maximize"},
        {"name": "milliseconds", "objective": "minimize"},
    ],
    observation_budget=15,
)
for suggestion in experiment.loop():  # until the budget is spent
    with suggestion:  # an exception in here is reported as a failure
        forest = ensemble.RandomForestClassifier(**suggestion.assignments, random_state=0)
        forest.fit(train_x, train_y)
        began = time.thread_time()
        accuracy = float(forest.score(test_x, test_y))
        suggestion.observe(accuracy=accuracy, milliseconds=1e3 * (time.thread_time() - began))

for best in experiment.frontier():
    print(best.value_by_metric, best.assignments)
