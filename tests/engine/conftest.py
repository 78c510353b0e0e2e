"""BoTorch's stock acquisition, to compare with."""

from __future__ import annotations

from botorch.acquisition.multi_objective import logei

# Its first use compiles a kernel for a minute or two. Without it the same is computed in Python.
logei._load_attempted = True
