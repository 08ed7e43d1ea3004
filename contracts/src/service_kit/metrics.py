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
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
"""Labels; anybody can make up another method."""


class MetricsMiddleware:
    """Counts requests by route template, never by path: ids would make the label set unbounded."""

    def __init__(self, app: ASGIApp, service: str) -> None:
        self.app = app
        self.service = service
        self._children: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request and count it."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = time.perf_counter()

        async def observe(message: Message) -> None:
            if message["type"] == "http.response.start":
                route = getattr(scope.get("route"), "path", "unmatched")
                method = scope["method"] if scope["method"] in METHODS else "other"
                requests, seconds = self._of(method, route, message["status"])
                requests.inc()
                seconds.observe(time.perf_counter() - started)
            await send(message)

        await self.app(scope, receive, observe)

    def _of(self, method: str, route: str, status: int) -> tuple[Counter, Histogram]:
        """Return the counters of a kind of answer; looking them up by label costs more than counting."""
        kind = (method, route, status)
        children = self._children.get(kind)
        if children is None:
            counter = REQUESTS.labels(self.service, method, route, status)
            children = self._children[kind] = (counter, SECONDS.labels(self.service, method, route))
        return children


def install_metrics(app: FastAPI, service: str) -> None:
    """Add the middleware and the `/metrics` route."""
    app.add_middleware(MetricsMiddleware, service=service)

    @app.get("/metrics", include_in_schema=False)
    async def metrics() -> Response:  # pyright: ignore[reportUnusedFunction] - used by its decorator
        return Response(generate_latest(REGISTRY), media_type=CONTENT_TYPE_LATEST)
