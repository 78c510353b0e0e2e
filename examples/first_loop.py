"""Tune a random forest that reads handwritten digits: accurate, and fast to answer.

Needs `pip install scikit-learn`, and a running `tradeoff up`.
"""

import time

from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import train_test_split

from tradeoff import Client

X, X_test, y, y_test = train_test_split(*load_digits(return_X_y=True), random_state=0)

experiment = Client().experiments.create(
    name="forest on digits",
    parameters=[
        {"name": "n_estimators", "type": "int", "bounds": {"min": 1, "max": 100}},
        {"name": "max_depth", "type": "int", "bounds": {"min": 2, "max": 20}},
        {"name": "max_features", "type": "double", "bounds": {"min": 0.02, "max": 1.0}},
        {"name": "criterion", "type": "categorical", "categorical_values": ["gini", "entropy"]},
    ],
    metrics=[
        {"name": "accuracy", "objective": "maximize"},
        {"name": "inference_ms", "objective": "minimize"},
    ],
    observation_budget=20,
)

for suggestion in experiment.loop():  # suggest, train, observe until the budget is spent
    with suggestion:  # an exception in here is reported as a failure of this configuration
        forest = RandomForestClassifier(random_state=0, **suggestion.assignments).fit(X, y)
        began = time.perf_counter()
        accuracy = forest.score(X_test, y_test)
        suggestion.observe(accuracy=accuracy, inference_ms=1e3 * (time.perf_counter() - began))

for best in experiment.frontier():  # the forests that no other one beats in both
    print(best.value_by_metric, best.assignments)
