"""Wire models of the OpenAI-compatible API: the shapes of `openai.types.conversations`."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from contracts.conversations import Conversation, JsonObject

MAX_ITEMS_PER_REQUEST = 20
MAX_METADATA_PAIRS = 16
METADATA_KEY_MAX_LENGTH = 64
METADATA_VALUE_MAX_LENGTH = 512

Metadata = Annotated[
    dict[
        Annotated[str, Field(max_length=METADATA_KEY_MAX_LENGTH)],
        Annotated[str, Field(max_length=METADATA_VALUE_MAX_LENGTH)],
    ],
    Field(max_length=MAX_METADATA_PAIRS),
]

Include = Literal[
    "file_search_call.results",
    "web_search_call.results",
    "web_search_call.action.sources",
    "message.input_image.image_url",
    "computer_call_output.output.image_url",
    "code_interpreter_call.outputs",
    "reasoning.encrypted_content",
    "message.output_text.logprobs",
]
"""`openai.types.responses.ResponseIncludable`. Items are always answered whole, so it changes nothing."""


class OpenAIWire(BaseModel):
    """Base of what clients send: unknown parameters are refused, as OpenAI does."""

    model_config = ConfigDict(extra="forbid")


class OpenAIConversationCreate(OpenAIWire):
    """A new conversation."""

    items: list[JsonObject] | None = Field(default=None, max_length=MAX_ITEMS_PER_REQUEST)
    metadata: Metadata | None = None


class OpenAIConversationUpdate(OpenAIWire):
    """The metadata that takes the place of the present one."""

    metadata: Metadata | None


class OpenAIItemsCreate(OpenAIWire):
    """Items to append, all or none."""

    items: list[JsonObject] = Field(min_length=1, max_length=MAX_ITEMS_PER_REQUEST)


class OpenAIConversation(BaseModel):
    """A conversation. `created_at` is in seconds since the epoch."""

    id: str
    object: Literal["conversation"] = "conversation"
    created_at: int
    metadata: JsonObject


class OpenAIConversationDeleted(BaseModel):
    """What is left of a conversation."""

    id: str
    object: Literal["conversation.deleted"] = "conversation.deleted"
    deleted: Literal[True] = True


class OpenAIItemList(BaseModel):
    """A page of items; the ids are those of its first and last one, null if it is empty."""

    object: Literal["list"] = "list"
    data: list[JsonObject]
    first_id: str | None
    last_id: str | None
    has_more: bool


def openai_conversation(conversation: Conversation) -> OpenAIConversation:
    """Return a conversation in OpenAI's shape."""
    created_at = int(conversation.created_at.timestamp())
    return OpenAIConversation(id=conversation.id, created_at=created_at, metadata=conversation.metadata)


def openai_item_list(items: list[JsonObject], *, has_more: bool = False) -> OpenAIItemList:
    """Return a page of items."""
    first, last = (items[0]["id"], items[-1]["id"]) if items else (None, None)
    return OpenAIItemList(data=items, first_id=first, last_id=last, has_more=has_more)
