"""A model whose every response is streamed to a recorder while the SDK's runner waits for the whole.

The runner's own streaming wraps and queues each event; here a token goes from the model to the log directly.
"""

from collections.abc import AsyncIterator
from typing import Any, Protocol

from agents import Model, ModelResponse, Usage
from agents.items import TResponseOutputItem, TResponseStreamEvent
from openai.types.responses import (
    Response,
    ResponseCompletedEvent,
    ResponseErrorEvent,
    ResponseFailedEvent,
    ResponseIncompleteEvent,
    ResponseOutputItemDoneEvent,
    ResponseRefusalDeltaEvent,
    ResponseTextDeltaEvent,
)


class ModelFailedError(Exception):
    """The model broke off; `code` is the provider's."""

    def __init__(self, code: str | None) -> None:
        self.code = code
        super().__init__(code or "unknown")


class ResponseRecorder(Protocol):
    """What is told of a model's response."""

    def model_asked(self) -> None:
        """The model is asked for a response."""
        ...

    def text_delta(self, output_index: int, delta: str) -> None:
        """More text of the message at this place of the output."""
        ...

    async def response_completed(self, output: list[TResponseOutputItem]) -> None:
        """The response is whole."""
        ...


class RecordedModel(Model):
    """Streams `model`'s responses to `recorder`; to the runner it is a model that does not stream."""

    def __init__(self, model: Model, recorder: ResponseRecorder) -> None:
        self._model = model
        self._recorder = recorder

    async def get_response(self, *args: Any, **kwargs: Any) -> ModelResponse:
        """Stream a response and return it whole. Raises ModelFailedError if the model breaks off."""
        done: list[TResponseOutputItem] = []
        response: Response | None = None
        self._recorder.model_asked()
        async for event in self._model.stream_response(*args, **kwargs):
            if isinstance(event, ResponseTextDeltaEvent | ResponseRefusalDeltaEvent):
                self._recorder.text_delta(event.output_index, event.delta)
            elif isinstance(event, ResponseOutputItemDoneEvent):
                done.append(event.item)
            elif isinstance(event, ResponseCompletedEvent | ResponseIncompleteEvent):
                response = event.response
            elif isinstance(event, ResponseFailedEvent):
                raise ModelFailedError(event.response.error.code if event.response.error else None)
            elif isinstance(event, ResponseErrorEvent):
                raise ModelFailedError(event.code)
        if response is None:
            raise ModelFailedError("stream_ended")
        # Some backends leave the final response's output empty and give the items only as they are done.
        output = response.output or done
        await self._recorder.response_completed(output)
        return ModelResponse(output=output, usage=_usage_of(response), response_id=response.id)

    def stream_response(self, *args: Any, **kwargs: Any) -> AsyncIterator[TResponseStreamEvent]:
        """Refuse: a recorded model is asked for whole responses."""
        raise TypeError("a recorded model does not stream to the runner")


def _usage_of(response: Response) -> Usage:
    if response.usage is None:
        return Usage(requests=1)
    return Usage(
        requests=1,
        input_tokens=response.usage.input_tokens,
        output_tokens=response.usage.output_tokens,
        total_tokens=response.usage.total_tokens,
    )
