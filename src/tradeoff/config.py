"""Settings, read from the environment in one place.

Every variable carries the prefix `TRADEOFF_`: `TRADEOFF_DATABASE_URL` fills `database_url`.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """What an operator can set; each default suits one machine."""

    model_config = SettingsConfigDict(env_prefix="TRADEOFF_", frozen=True, extra="ignore")

    #: Postgres to use; `None` starts the embedded one below `data_dir`.
    database_url: str | None = None
    #: Where the embedded Postgres, the local token and the logs live.
    data_dir: Path = Field(default_factory=lambda: Path.home() / ".tradeoff")
    #: `auto`, `cpu`, `cuda` or `cuda:N`.
    device: str = Field(default="auto", pattern=r"^(auto|cpu|cuda(:\d+)?)$")
    #: Which engine makes suggestions: ours, or `reference`, BoTorch's stock loop. An experiment can
    #: choose the latter for itself.
    engine: Literal["default", "reference"] = "default"
    #: How long asking for a suggestion waits for the model before a simpler answer, in seconds.
    suggestion_wait_seconds: float = Field(default=2.0, ge=0, le=60)
    #: How long it waits for an experiment that is paused, before it is told so.
    paused_wait_seconds: float = Field(default=20.0, ge=0, le=60)
    log_format: Literal["text", "json"] = "text"
    #: Where the embedded Postgres finds its programs (`initdb`, `pg_ctl`); `None` searches.
    pg_bin: Path | None = None
    #: Connections that one process may hold.
    database_pool_size: int = Field(default=10, ge=1, le=100)
    #: Requests that one API process takes at once; those that wait for the model count.
    requests_at_once: int = Field(default=1000, ge=1, le=100_000)
    #: Requests a second of one token, and of all tokens of a client together, that one API process
    #: answers; `None`: any number.
    token_requests_per_second: float | None = Field(default=None, gt=0)
    client_requests_per_second: float | None = Field(default=None, gt=0)
    #: Tokens that do not work, from one address, and ids of nothing, with one token, that one API
    #: process answers as such; it refuses more.
    wrong_tokens_per_minute: int = Field(default=30, ge=1)
    unknown_ids_per_ten_minutes: int = Field(default=100, ge=1)
    #: What a client may have that has no quota of its own; `None`: any number.
    client_experiments: int | None = Field(default=None, ge=0)
    client_observations: int | None = Field(default=None, ge=0)
    client_file_bytes: int | None = Field(default=None, ge=0)
    #: How long what is kept (`service.retention`); `None`: for ever.
    keep_audit_days: int | None = Field(default=None, ge=1, le=36_600)
    keep_deleted_days: int | None = Field(default=None, ge=1, le=36_600)
    keep_failed_jobs_days: int = Field(default=14, ge=1, le=36_600)
    keep_retries_hours: int = Field(default=48, ge=1, le=8_784)
    keep_ready_days: int = Field(default=30, ge=1, le=36_600)
    keep_announced_files_hours: int = Field(default=24, ge=1, le=8_784)
    #: Where this process alone shows its measurements; the API also has `/metrics`.
    metrics_port: int | None = Field(default=None, ge=1, le=65535)
    metrics_host: str = "127.0.0.1"
    #: File that spans are written to, one JSON object a line; `None`: see `sends_traces`.
    traces: Path | None = None
    #: Write a line into the log for each request.
    access_log: bool = False
    #: Time limit of one model refresh, in seconds; after it a simpler answer takes over.
    refresh_limit_seconds: float = Field(default=120.0, gt=0)
    #: Memory that one worker's models may take, in MiB; `None`: three quarters of the machine's.
    engine_memory_mb: int | None = Field(default=None, ge=256)
    #: Threads of the CPU that one worker computes with; more workers use more cores better.
    engine_threads: int = Field(default=1, ge=1, le=256)
    #: Where the commands that speak to the API find it; `None` asks the local `tradeoff up`.
    api_url: str | None = None
    #: Their token; `None` takes the local `tradeoff up`'s.
    api_token: str | None = Field(default=None, repr=False)

    @property
    def sends_traces(self) -> bool:
        """Whether OpenTelemetry's own variables name a place to send traces to."""
        names = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
        return any(os.environ.get(name) for name in names)

    def environment(self) -> dict[str, str]:
        """Return the environment of a child process that is to have these settings."""
        prefix = self.model_config["env_prefix"]
        values = self.model_dump(mode="json", exclude_none=True)
        return {**os.environ, **{f"{prefix}{name.upper()}": str(values[name]) for name in values}}


#: What the libraries of linear algebra are told by, each before it is loaded.
THREADS_OF_ALGEBRA = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS")


def limit_algebra() -> None:
    """Let linear algebra use one thread in this process, unless the environment says otherwise.

    To be called before numpy is loaded. A web process has many small problems at once, and threads
    that wait for each other at the end of each cost it eight times the work itself.
    """
    for name in THREADS_OF_ALGEBRA:
        os.environ.setdefault(name, "1")
