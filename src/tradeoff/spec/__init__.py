"""What a user asks to optimise: parameters, metrics, constraints, and what was seen so far.

The spec is written once and read by three: the wire's request models inherit it, the database
stores its JSON, the engine takes it as it is. It may import pydantic and `tradeoff.errors`, and
never a clock, randomness, the environment or another room. A rule that concerns one experiment
alone is checked here; a rule against what is stored belongs to `tradeoff.service`.

What surprised us: parameter objects are open on SigOpt's wire (an unknown key inside a parameter
is tolerated) while everything around them is closed.
"""
