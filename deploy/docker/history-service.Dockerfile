# Conversations, messages and runs; also runs their migrations (python -m history_service.migrate). Build from the project's folder:
# docker build -f deploy/docker/history-service.Dockerfile -t threadkeep/history-service .
FROM python:3.13-slim-bookworm AS packages
COPY deploy/locks/history-service.lock /tmp/requirements.lock
RUN python -m venv /app/venv \
    && /app/venv/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes -r /tmp/requirements.lock

FROM python:3.13-slim-bookworm
ENV PATH=/app/venv/bin:$PATH \
    PYTHONPATH=/app/src \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    BIND_HOST=0.0.0.0 \
    LOG_FORMAT=json \
    BLOB_URL=file:///data/attachments
WORKDIR /app
# A volume that is mounted here takes its owner over.
RUN install --directory --owner=10001 --group=10001 /data
COPY --from=packages /app/venv venv
COPY contracts/src src
COPY history-service/src src
USER 10001:10001
EXPOSE 8020
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s --retries=3 \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8020/healthz', timeout=3)"]
CMD ["python", "-m", "history_service"]
