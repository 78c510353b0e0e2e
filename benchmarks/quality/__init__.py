"""How well the engine searches, beside other optimizers: whole loops with equal seeds and budgets.

`python -m benchmarks.quality --help` says how to run it. `optimizers` are those measured, each
with its defaults; `peers` holds one adapter for each of those that need an environment of their
own; `loop` runs one search; `campaign` runs many, any number of processes sharing the work; and
`report` writes the tables.
"""
