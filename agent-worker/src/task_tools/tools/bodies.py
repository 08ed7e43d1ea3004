"""What the MCP server gets to read of its clients' bodies: all or nothing."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service_kit.problems import InvalidRequestError


class WholeBodyMiddleware:
    """Gives up a request whose client left before its body was complete.

    It ends where the MCP library reads the body, before it makes anything of it. There, such a client would be an error
    of the server's own: 500, and a traceback in the log.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request. Raises InvalidRequestError, which nobody is left to be told."""
        is_complete = False

        async def receive_all() -> Message:
            nonlocal is_complete
            message = await receive()
            if message["type"] == "http.request":
                is_complete = not message.get("more_body", False)
            elif not is_complete:
                raise InvalidRequestError("The request's body is incomplete.")
            return message

        await self.app(scope, receive_all, send)
