"""Which model answers."""

from fastapi import APIRouter
from pydantic import BaseModel

from chat_service.dependencies import ChatPrincipal, CurrentSettings
from chat_service.settings import ModelProvider

router = APIRouter()


class Model(BaseModel):
    """The model in use; `model` is None where the provider's default is."""

    provider: ModelProvider
    model: str | None
    demo: bool


@router.get("/model", summary="Which model answers")
async def get_model(caller: ChatPrincipal, settings: CurrentSettings) -> Model:
    """Return the model in use."""
    return Model(provider=settings.provider, model=settings.model, demo=settings.provider == "demo")
