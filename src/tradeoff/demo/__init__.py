"""A real optimization that anyone can watch: a small network, tuned for accuracy and speed.

It is a user of the product, not a part of it: it starts what `tradeoff up` starts, and from then on
speaks to it with `tradeoff.Client` alone. `digits` is the training, `contest` the bookkeeping of
our search and random search side by side, `show` what is printed, `run` puts them together.
It may import everything below the command line; only here are keras and scikit-learn imported.

What surprised us: random search has to train in turn with ours, in the same process, or whoever
runs while the machine is quieter gets the faster networks.
"""
