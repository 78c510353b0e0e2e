# Two images from one file:
#   docker build --target server .    the API, without torch
#   docker build --target worker .    the engine; --build-arg TORCH_INDEX=URL takes torch from that index,
#                                     such as the CPU one that PyTorch's installation page names
ARG PYTHON=3.12

# --- What both images stand on: an account of their own, and no way to write but /var/lib/tradeoff -------
FROM python:${PYTHON}-slim AS base
ENV PATH=/opt/tradeoff/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    HOME=/var/lib/tradeoff \
    TRADEOFF_DATA_DIR=/var/lib/tradeoff \
    TRADEOFF_LOG_FORMAT=json \
    TRADEOFF_METRICS_HOST=0.0.0.0 \
    TRADEOFF_METRICS_PORT=9464
RUN groupadd --gid 10001 tradeoff \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /var/lib/tradeoff \
        --shell /usr/sbin/nologin tradeoff \
    && install --directory --owner=tradeoff --group=tradeoff --mode=0700 /var/lib/tradeoff
WORKDIR /var/lib/tradeoff

# --- Environments, made where compilers and caches may stay behind ---------------------------------------
FROM python:${PYTHON}-slim AS environment
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /build
RUN python -m venv /opt/tradeoff
# What others wrote comes before our own code, by hash: the largest layers change least.

FROM environment AS server-environment
COPY locks/server.txt ./
RUN /opt/tradeoff/bin/pip install --require-hashes -r server.txt
COPY pyproject.toml README.md LICENSE NOTICE ./
COPY migrations migrations
COPY src src
RUN /opt/tradeoff/bin/pip install --no-deps . && /opt/tradeoff/bin/pip check

FROM environment AS worker-environment
ARG TORCH_INDEX=""
COPY locks/worker.txt constraints.txt ./
# Another index has builds of torch of its own, whose hashes nobody here knows.
RUN if [ -n "$TORCH_INDEX" ]; then \
        /opt/tradeoff/bin/pip install --no-deps --index-url "$TORCH_INDEX" "$(grep '^torch==' constraints.txt)"; \
    else \
        /opt/tradeoff/bin/pip install --require-hashes -r worker.txt; \
    fi
COPY pyproject.toml README.md LICENSE NOTICE ./
COPY migrations migrations
COPY src src
# All that it needs is there by now, unless torch came from elsewhere.
RUN /opt/tradeoff/bin/pip install -c constraints.txt '.[worker,otel]'

# --- The images --------------------------------------------------------------------------------------------
FROM base AS worker
COPY --from=worker-environment /opt/tradeoff /opt/tradeoff
USER 10001:10001
EXPOSE 9464
# A worker serves its measurements alone; its imports take seconds.
HEALTHCHECK --interval=20s --timeout=5s --start-period=180s --retries=3 \
    CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:9464/metrics', timeout=4)"]
ENTRYPOINT ["tradeoff"]
CMD ["worker"]

FROM base AS server
COPY --from=server-environment /opt/tradeoff /opt/tradeoff
USER 10001:10001
EXPOSE 8080 9464
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s --retries=3 \
    CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8080/health/live', timeout=2)"]
ENTRYPOINT ["tradeoff"]
CMD ["api", "--host", "0.0.0.0"]
