"""Prometheus metrics of a service: `GET /metrics`, and counts and durations of its requests by route."""

import time

from fastapi import FastAPI
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, Counter, Histogram, generate_latest
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

REQUESTS = Counter("threadkeep_http_requests_total", "Answered requests.", ["service", "method", "route", "status"])
SECONDS = Histogram(
    "threadkeep_http_first_byte_seconds",
    "Time from the request to the head of its answer.",
    ["service", "method", "route"],
)


class MetricsMiddleware:
    """Counts requests by route template, never by path: ids would make the label set unbounded."""

    def __init__(self, app: ASGIApp, service: str) -> None:
        self.app = app
        self.service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request and count it."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = time.perf_counter()

        async def observe(message: Message) -> None:
            if message["type"] == "http.response.start":
                route = getattr(scope.get("route"), "path", "unmatched")
                REQUESTS.labels(self.service, scope["method"], route, message["status"]).inc()
                SECONDS.labels(self.service, scope["method"], route).observe(time.perf_counter() - started)
            await send(message)

        await self.app(scope, receive, observe)


def install_metrics(app: FastAPI, service: str) -> None:
    """Add the middleware and the `/metrics` route."""
    app.add_middleware(MetricsMiddleware, service=service)

    @app.get("/metrics", include_in_schema=False)
    async def metrics() -> Response:  # pyright: ignore[reportUnusedFunction] - used by its decorator
        return Response(generate_latest(REGISTRY), media_type=CONTENT_TYPE_LATEST)
