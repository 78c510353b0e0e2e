"""PyTorch: a small network, tuned for accuracy and size; hopeless trainings end early.

Start a server with `tradeoff up`, then in another terminal: python pytorch.py
"""

from typing import Any

import torch
from sklearn import datasets, model_selection
from torch import nn

from tradeoff import Client

EPOCHS = 6

torch.manual_seed(0)
images, labels = datasets.load_digits(return_X_y=True)
parts = model_selection.train_test_split(images / 16, labels, random_state=0)
train_x, test_x = (torch.as_tensor(part, dtype=torch.float32) for part in parts[:2])
train_y, test_y = (torch.as_tensor(part) for part in parts[2:])


def build(width: int, layers: int, dropout: float) -> nn.Sequential:
    """A perceptron."""
    modules: list[nn.Module] = []
    before = train_x.shape[1]
    for _ in range(layers):
        modules += [nn.Linear(before, width), nn.ReLU(), nn.Dropout(dropout)]
        before = width
    return nn.Sequential(*modules, nn.Linear(before, 10))


def train_one_epoch(model: nn.Module, optimizer: torch.optim.Optimizer) -> float:
    """Train, and give the accuracy on what was not trained with."""
    model.train()
    for rows in torch.randperm(len(train_x)).split(64):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(train_x[rows]), train_y[rows]).backward()
        optimizer.step()
    model.eval()
    with torch.no_grad():
        return (model(test_x).argmax(1) == test_y).double().mean().item()


experiment = Client().experiments.create(
    name="PyTorch",
    parameters=[
        {"name": "width", "type": "int", "bounds": {"min": 4, "max": 128}},
        {"name": "layers", "type": "int", "bounds": {"min": 1, "max": 3}},
        {"name": "dropout", "type": "double", "bounds": {"min": 0, "max": 0.6}},
        {
            "name": "learning_rate",
            "type": "double",
            "bounds": {"min": 1e-5, "max": 1e-1},
            "transformation": "log",
        },
    ],
    metrics=[{"name": "accuracy"}, {"name": "weights", "objective": "minimize"}],
    observation_budget=10,
    early_stopping={"min_trainings": 3},
)
for suggestion in experiment.loop(catch=torch.OutOfMemoryError):
    with suggestion:
        chosen: dict[str, Any] = dict(suggestion.assignments)
        rate = chosen.pop("learning_rate")
        model = build(**chosen)
        optimizer = torch.optim.Adam(model.parameters(), lr=rate)
        # What a checkpoint leaves out counts as ideal: the size is known before the training.
        weights = sum(each.numel() for each in model.parameters())
        for epoch in range(EPOCHS):
            accuracy = train_one_epoch(model, optimizer)
            now = suggestion.checkpoint(step=epoch, accuracy=accuracy, weights=weights)
            if now.should_stop:
                break
        suggestion.observe(accuracy=accuracy, weights=weights)
        print(f"{epoch + 1:2} epochs, accuracy {accuracy:.3f}, {weights} weights", flush=True)

for best in experiment.frontier():
    print(best.value_by_metric, best.assignments)
