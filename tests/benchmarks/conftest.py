"""BoTorch's stock acquisition among the peers."""

from __future__ import annotations

from botorch.acquisition.multi_objective import logei

# As in tests/engine: nothing is compiled for a test.
logei._load_attempted = True
