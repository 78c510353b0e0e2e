"""Answers `benchmarks.quality.optimizers.Peer`: one question, then asks and tells."""

from __future__ import annotations

import importlib
import json
import os
import sys
import warnings
from typing import Any

MODULES = {
    "optuna-tpe": "optuna_search",
    "optuna-gp": "optuna_search",
    "ax": "ax_search",
    "sigopt": "sigopt_search",
}


def main() -> None:
    """Serve one search until standard input ends."""
    warnings.filterwarnings("ignore")
    # Libraries print; answers go to the real standard output only.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    question = json.loads(sys.stdin.readline())
    module = importlib.import_module(f"benchmarks.quality.peers.{MODULES[question['peer']]}")
    search = module.Search(question)
    open_trials: dict[str, Any] = {}
    for line in sys.stdin:
        message = json.loads(line)
        if "ask" not in message:
            trial = open_trials.pop(json.dumps(message["tell"], sort_keys=True))
            search.tell(trial, message["values"])
            continue
        reply = []
        for point, trial, by_model in search.ask(message["ask"]):
            open_trials[json.dumps(point, sort_keys=True)] = trial
            reply.append([point, by_model])
        answers.write(json.dumps(reply) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
