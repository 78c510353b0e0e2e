"""The training for real; one network, one process (Keras reads the environment as it loads)."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

MEASURE = """
import json, sys
from pathlib import Path
from tradeoff.demo import question, run
run.prepare_libraries(Path(sys.argv[1]))
from tradeoff.demo import digits
task = digits.Digits(seed=0)
small = {**question.PLAIN, "blocks": 1, "filters": 4}
found = [task.measure(question.PLAIN), task.measure(small), task.measure(small)]
try:
    task.measure({**question.PLAIN, "filters": 48, "dense_units": 128})
except question.TooLarge as error:
    print(json.dumps([[m.accuracy, m.inference_ms, m.weights] for m in found] + [error.weights]))
"""


@pytest.mark.long  # the demo itself shows as much
@pytest.mark.skipif(importlib.util.find_spec("keras") is None, reason="needs tradeoff[demo]")
def test_networks_trade_accuracy_for_time(tmp_path: Path) -> None:
    answer = subprocess.run(
        [sys.executable, "-c", MEASURE, str(tmp_path)], capture_output=True, text=True, check=False
    )

    assert answer.returncode == 0, answer.stderr
    plain, small, again, too_large = json.loads(answer.stdout)
    assert plain[0] > 0.8
    assert 0 < small[1] < plain[1]
    assert small[2] < plain[2] == 19_578
    # The same seed trains the same network; only its time is measured anew.
    assert small[0] == again[0]
    assert too_large > 50_000
