"""Tradeoff inside the tools that people train with: one module a library, imported by name.

Callbacks report what a training measures as checkpoints of its suggestion, and end it when the
server says so; searches and samplers ask the server for configurations in the shape that their
library expects. Each module imports its library and, of ours, the thin client alone, so that it
works where only `pip install tradeoff` and the library are.

What surprised us: hardly any library has a word for "this configuration fails". Each module says in
its docstring what it takes for a failure.
"""
