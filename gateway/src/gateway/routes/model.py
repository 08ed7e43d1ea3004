"""Which model answers."""

from pydantic import BaseModel
from starlette.responses import Response

from gateway.dependencies import CurrentCaller
from gateway.forwarding.targets import CHAT_READ
from gateway.routes.documentation import create_router

router = create_router("model")


class Model(BaseModel):
    """The model in use, None for the provider's default; `demo`: it is the built-in one, which needs no key."""

    provider: str
    model: str | None
    demo: bool


@router.get("/model", summary="Tell which model answers", response_model=Model)
def get_model(caller: CurrentCaller) -> Response:
    """Forward to the chat-service."""
    return caller.forward(CHAT_READ, "/model")
