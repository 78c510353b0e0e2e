"""SigOpt's v1 contract, rule by rule.

One module per part of it; each test is one sentence of the contract that `tests/api` does not
read as plainly.
"""
