"""Computing in the background: take a job, load what was seen, ask the engine, fill the buffer.

It may import service, store, engine and procrastinate; it writes no SQL of its own and knows
nothing of HTTP. The engine runs in a child process: a fit that hangs, eats the memory or breaks
the GPU's context can be killed without losing the worker's heartbeat.

What surprised us: a killed worker's job stays marked as running, and every later job of that
experiment waits for it; somebody must sweep, and not as a queued job, which could stall itself.
"""
