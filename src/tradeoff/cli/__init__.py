"""The command line: `tradeoff up`, `token create`, `doctor` and the rest.

May import every room; each command imports those that it needs when it runs, so that
`tradeoff --help` answers at once. What is meant for programs (a secret, JSON) stands alone on
standard output.
"""
