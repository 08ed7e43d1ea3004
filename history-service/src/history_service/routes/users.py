"""All of a user's data: taken along (`/export`, `/conversations/{id}/export`), and deleted (`DELETE /users/{id}`)."""

from typing import Annotated

from fastapi import APIRouter, Path, Request
from starlette.responses import StreamingResponse

from contracts.export import ConversationExport, ExportRecord
from contracts.principal import USERS_DELETE, USERS_EXPORT
from history_service.dependencies import ConversationId, Reader, acting, resources_of
from history_service.errors import DeletionUnfinishedError, UserMismatchError
from history_service.services.deletion import UserDeletion
from history_service.services.exports import ExportService
from history_service.storage.user import UserAccess
from service_kit.openapi import raises

NDJSON = "application/x-ndjson"

router = APIRouter(tags=["users"])


@router.get(
    "/conversations/{conversation_id}/export", summary="Export a conversation", response_model=ConversationExport
)
async def export_conversation(conversation_id: ConversationId, user: Reader) -> StreamingResponse:
    """Stream one JSON document with all that is stored of a conversation, items exactly as they are stored."""
    async with user.transaction() as history:
        conversation = await history.conversations.get(conversation_id)
    return StreamingResponse(ExportService(user).document(conversation), media_type="application/json")


@router.get(
    "/export",
    summary="Export all of a user's data",
    response_class=StreamingResponse,
    response_model=ExportRecord,
    responses={200: {"content": {NDJSON: {}}}},
)
async def export_user(user: Annotated[UserAccess, acting(USERS_EXPORT)]) -> StreamingResponse:
    """Stream one record per line, separated by LF; complete if, and only if, the last line is the end."""
    export = ExportService(user)
    return StreamingResponse(export.lines(await export.begin()), media_type=NDJSON)


@router.delete(
    "/users/{user_id}",
    status_code=204,
    summary="Delete all of a user's data",
    responses=raises(UserMismatchError, DeletionUnfinishedError),
)
async def delete_user(
    user_id: Annotated[str, Path()], user: Annotated[UserAccess, acting(USERS_DELETE)], request: Request
) -> None:
    """Delete everything of the token's own user. Large histories take several requests (503, then repeat)."""
    if user_id != user.user_id:
        raise UserMismatchError()
    await UserDeletion(user, resources_of(request).blobs).delete()
