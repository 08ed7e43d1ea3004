# An agent worker: scale it on its own. Build from the project's folder:
# docker build -f deploy/docker/agent-worker.Dockerfile -t threadkeep/agent-worker .
FROM python:3.13-slim-bookworm AS packages
COPY deploy/locks/agent-worker.lock /tmp/requirements.lock
RUN python -m venv /app/venv \
    && /app/venv/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes -r /tmp/requirements.lock

FROM python:3.13-slim-bookworm
ENV PATH=/app/venv/bin:$PATH \
    PYTHONPATH=/app/src \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    BIND_HOST=0.0.0.0 \
    LOG_FORMAT=json
WORKDIR /app
COPY --from=packages /app/venv venv
COPY contracts/src src
COPY history-service/client/src src
COPY agent-worker/src/agent_worker src/agent_worker
USER 10001:10001
EXPOSE 8030
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s --retries=3 \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8030/healthz', timeout=3)"]
CMD ["python", "-m", "agent_worker"]
