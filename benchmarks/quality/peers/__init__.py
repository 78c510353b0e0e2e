"""Other optimizers, one module each, run in an environment of its own.

    .venv-peers/NAME/bin/python -m benchmarks.quality.peers     JSON lines on standard input

Nothing here may import anything of ours: these environments hold other versions of what we use.
"""
