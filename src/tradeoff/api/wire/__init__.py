"""The bodies of requests and answers, one module per resource.

Request models inherit the spec's classes and add what only the wire has; they are closed, and
their docstrings are the reference that users read. Answers carry `object`, the name of their
type. A field marked as hidden is absent when it has no value; every other one is then `null`.
"""
