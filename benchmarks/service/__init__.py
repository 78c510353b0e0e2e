"""What the service does under load, beside what the machine can do at all.

    python -m benchmarks.service [--quick] [--json FILE] [--only warm,waiting]

It starts an installation of its own (embedded Postgres, `tradeoff api`, for some of the figures
`tradeoff worker`) and measures it from outside, over HTTP:

    wire        HTTP/1.1 over a raw socket: the bytes that `tradeoff.Client` sends, and little more
    load        the generator, a process of its own: N clients, each asking and reporting in turn
    ledger      what each client was told, compared with what is stored
    site        the installation: its processes, their CPU and memory, its experiments
    stand_in    a model that always keeps up: fills buffers as a worker does, without computing
    ceiling     a bare FastAPI endpoint with one INSERT, and pgbench, on the same Postgres
    optuna_peer the same work with Optuna's RDBStorage on the same Postgres; its own environment
    phases      what is measured, one function a table
    report      tables, targets and the one line at the end

The exit status tells of correctness alone: 1 when anything was lost or doubled, when an error
reached a client, or when a figure could not be had. Times depend on the
machine; the ratios are what to hold.
"""
