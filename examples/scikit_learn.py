"""Scikit-learn in 20 lines: `tradeoff up` in one terminal, `python scikit_learn.py` in another."""

import time

from sklearn import datasets, model_selection, neighbors

from tradeoff import Client

x, y = datasets.load_digits(return_X_y=True)
neighbours = {"name": "n_neighbors", "type": "int", "bounds": {"min": 1, "max": 20}}
weights = {"name": "weights", "type": "categorical", "categorical_values": ["uniform", "distance"]}
metrics = [{"name": "accuracy"}, {"name": "seconds", "objective": "minimize"}]
experiment = Client().experiments.create(
    name="Neighbours", parameters=[neighbours, weights], metrics=metrics, observation_budget=10
)
for suggestion in experiment.loop():
    with suggestion:
        began, model = time.thread_time(), neighbors.KNeighborsClassifier(**suggestion.assignments)
        accuracy = model_selection.cross_val_score(model, x, y, cv=3).mean()
        suggestion.observe(accuracy=accuracy, seconds=time.thread_time() - began)
print(*(f"{best.value_by_metric} {best.assignments}" for best in experiment.frontier()), sep="\n")
