"""Speaking SigOpt's JSON over HTTP.

A request becomes one act: who asks, what it is about, whether the body makes sense, one function
of `tradeoff.service` (or a plain read of `tradeoff.store`), an answer rendered and serialized,
and only then the commit. It may import service, store, spec, fastapi and pydantic, and never the
engine or SQL. Bodies and answers have models in `wire`; rows become wire forms in `render`;
`routes` lists every path on one page; `session` is the only thing that commits.

What surprised us: with one thread hop per FastAPI dependency, requests that hold a database
connection wait for a thread behind requests that wait for a connection, until the pool times
out. So an act runs in one hop, and the framework's own parsing of bodies is not used: SigOpt's
order of checks (malformed JSON before the token, the token and the object before the fields of
the body) needs the validation after the lookup anyway.
"""
