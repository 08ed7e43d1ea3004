"""The route of the MCP server."""

from starlette.routing import Match, Route
from starlette.types import Scope


class McpRoute(Route):
    """Makes itself known to what counts requests by their route, as FastAPI's routes do."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Tell whether the request is for this route."""
        match, found = super().matches(scope)
        return match, {**found, "route": self}
