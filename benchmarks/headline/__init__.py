"""The headline: does our search find a better frontier with a tenth of the trainings?

The question is that of `examples/keras_diatoms`, every number comes from a real training, and both
searches use the same one. `training` trains many networks at once, of sizes as equal as can be had;
`timing` measures inference afterwards, alone; `searches` draws at random, or asks a server of its
own; `table` keeps each result as it comes, so that an interrupted run goes on; `compare` and
`figures` draw the conclusions. `python -m benchmarks.headline --help` is all of it in one command.

What surprised us: networks need not have equal shapes to be trained together. Padded filters stay
at nothing by themselves once the scale of their normalisation is masked.
"""
