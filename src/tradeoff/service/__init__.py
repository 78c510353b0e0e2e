"""What may be done: one function per act, and the answers that are drawn from many rows.

Functions take a session, a row or a spec, and keyword arguments; they return rows. They neither
commit nor know of HTTP or JSON bodies, so that the API, the command line and tests call the same
ones. They use the engine's numpy half only (space, design, pareto): no torch in a web process.

What surprised us: whatever counts on the experiment's row (revision, counters, the position in
the design) must be read after locking it; two reports at once otherwise count one.
"""
