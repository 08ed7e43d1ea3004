"""`/attachments`: announce, upload, get, download, delete; and those of a conversation."""

import re
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Request
from starlette.requests import ClientDisconnect
from starlette.responses import StreamingResponse

from contracts.attachments import Attachment, AttachmentCreate, AttachmentPut
from contracts.pages import Order, Page
from contracts.principal import ATTACHMENTS_READ, ATTACHMENTS_WRITE
from history_service.attachment_content import attachment_of, content_disposition
from history_service.dependencies import (
    DEFAULT_LIMIT,
    AfterId,
    ConversationId,
    Limit,
    acting,
    resources_of,
)
from history_service.domain import ID_PATTERN
from history_service.errors import (
    AttachmentConflictError,
    ContentConflictError,
    ContentNotFoundError,
    ConversationForbiddenError,
    ConversationNotFoundError,
)
from history_service.json_route import JsonRoute
from history_service.services.attachments import AttachmentService
from history_service.storage.user import UserAccess
from service_kit.openapi import raises
from service_kit.problems import InvalidRequestError, PayloadTooLargeError

CONTENT_PATH = re.compile(r"/attachments/[^/]+/content")
"""Requests that have a limit of their own."""

BINARY = {"schema": {"type": "string", "format": "binary"}}

AttachmentId = Annotated[str, Path(pattern=ID_PATTERN)]
AttachmentReader = Annotated[UserAccess, acting(ATTACHMENTS_READ)]
AttachmentWriter = Annotated[UserAccess, acting(ATTACHMENTS_WRITE)]

router = APIRouter(tags=["attachments"], route_class=JsonRoute)


def _max_bytes(request: Request) -> int:
    return resources_of(request).settings.max_attachment_bytes


def _service(request: Request, user: UserAccess) -> AttachmentService:
    return AttachmentService(user, resources_of(request).blobs)


def _uploads(request: Request, user: AttachmentWriter) -> AttachmentService:
    return _service(request, user)


def _downloads(request: Request, user: AttachmentReader) -> AttachmentService:
    return _service(request, user)


@router.post(
    "/attachments",
    status_code=201,
    summary="Announce an attachment",
    responses=raises(
        AttachmentConflictError, ConversationForbiddenError, ConversationNotFoundError, PayloadTooLargeError
    ),
)
async def create_attachment(
    new: AttachmentCreate, user: AttachmentWriter, max_bytes: Annotated[int, Depends(_max_bytes)]
) -> Attachment:
    """Store what is known of a file whose bytes will be uploaded. The very same again changes nothing."""
    content = attachment_of(new.payload)
    if new.size_bytes > max_bytes:
        raise PayloadTooLargeError(f"An attachment may have {max_bytes} bytes.")
    async with user.transaction() as history:
        return await history.attachments.create(content, new.size_bytes)


@router.get("/attachments/{attachment_id}", summary="Get an attachment")
async def get_attachment(attachment_id: AttachmentId, user: AttachmentReader) -> Attachment:
    """Return what is known of an attachment."""
    async with user.transaction() as history:
        return await history.attachments.get(attachment_id)


@router.put(
    "/attachments/{attachment_id}",
    summary="Change an attachment",
    responses=raises(AttachmentConflictError),
)
async def put_attachment(attachment_id: AttachmentId, put: AttachmentPut, user: AttachmentWriter) -> Attachment:
    """Replace the ChatKit attachment, as when a message takes it into its conversation, where it stays."""
    content = attachment_of(put.payload, attachment_id)
    async with user.transaction() as history:
        return await history.attachments.put(content)


@router.put(
    "/attachments/{attachment_id}/content",
    summary="Upload the bytes of an attachment",
    responses=raises(ContentConflictError, PayloadTooLargeError),
    openapi_extra={"requestBody": {"required": True, "content": {"application/octet-stream": BINARY}}},
)
async def put_content(
    attachment_id: AttachmentId, request: Request, attachments: Annotated[AttachmentService, Depends(_uploads)]
) -> Attachment:
    """Store the bytes: as many as were announced. The same again change nothing, others are refused (409)."""
    try:
        return await attachments.upload(attachment_id, request.stream())
    except ClientDisconnect as error:  # nobody's failure: nothing to log
        raise InvalidRequestError("The request's body is incomplete.") from error


@router.get(
    "/attachments/{attachment_id}/content",
    summary="Download the bytes of an attachment",
    response_class=StreamingResponse,
    responses={200: {"content": {"*/*": BINARY}}} | raises(ContentNotFoundError),
)
async def get_content(
    attachment_id: AttachmentId, attachments: Annotated[AttachmentService, Depends(_downloads)]
) -> StreamingResponse:
    """Stream the bytes, to be saved and not to be shown: nobody knows what is in them."""
    attachment, content = await attachments.open(attachment_id)
    headers = {
        "Content-Length": str(attachment.size_bytes),
        "Content-Disposition": content_disposition(attachment.name),
        "Content-Security-Policy": "default-src 'none'; sandbox",
        "ETag": f'"{attachment.sha256}"',
        "X-Content-Type-Options": "nosniff",
    }
    return StreamingResponse(content, headers=headers, media_type=attachment.mime_type)


@router.delete("/attachments/{attachment_id}", status_code=204, summary="Delete an attachment")
async def delete_attachment(attachment_id: AttachmentId, user: AttachmentWriter, request: Request) -> None:
    """Delete an attachment; its bytes are removed soon after."""
    async with user.transaction() as history:
        await history.attachments.delete(attachment_id)
    resources_of(request).sweeper.wake()


@router.get("/conversations/{conversation_id}/attachments", summary="List the attachments of a conversation")
async def list_attachments(
    conversation_id: ConversationId,
    user: AttachmentReader,
    limit: Limit = DEFAULT_LIMIT,
    after: AfterId = None,
    order: Order = "asc",
) -> Page[Attachment]:
    """Return a page in order of creation."""
    async with user.transaction() as history:
        return await history.attachments.list(conversation_id, limit, after, order)
