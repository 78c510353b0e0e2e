"""How the next points are found: a pure function of the spec, the history, the state and a seed.

The engine speaks BoTorch's words: rows of `X` in the unit cube, columns of `Y` that are all
maximised. It may import `tradeoff.spec` and the numeric libraries; it reads no clock, file,
environment or database, and it uses no global random state, so the same input and seed give the
same output. `space`, `design`, `pareto` and `state` hold no torch: the web process uses them.

What surprised us: a stock acquisition function spends its time in sampling and autograd, where a
closed form over a few joint samples of the front costs fifty times less; and a surrogate without a
penalty on long lengthscales walks from corner to corner of the cube (see `models`).
"""
