"""How everything is kept: tables, queries, the queue, and the Postgres that comes along.

SQLAlchemy, psycopg2 and (in `queue`) procrastinate live here and nowhere else. A function takes
a session and never commits: who opened the work commits it. `get_` raises when a thing is not
there, `find_` may return `None`. Deciding who may do what is `tradeoff.service`'s.

What surprised us: a unique violation aborts the whole transaction, so everything that may meet
one (a deferred job, a suggestion taken by two at once) is an INSERT with ON CONFLICT DO NOTHING.
And planning a statement, or putting it together, costs more than running it; see `prepared`.
"""
