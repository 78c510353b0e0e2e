"""What the engine costs and how well it searches; run with `python -m benchmarks.NAME`."""
