"""What goes wrong in real life, made to happen: processes killed, connections cut, disks full.

Each test runs loops of the real client with a ledger (`load`) through a fault (`proxy`,
`processes`, `hooks`) on a real Postgres of its own, and compares what the clients were told with
what is stored. `docs/reliability.md` lists the promises and the tests that prove them.

A fault that was never seen proves nothing: every test counts its kills, cuts and retries.
"""
