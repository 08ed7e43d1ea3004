"""`python -m tests.bench.relay.baseline`: what one writes from ChatKit's documentation.

One process is server, store and agent, as in https://openai.github.io/chatkit-python/guides/respond-to-user-message.
The model is the worker's own demo model, and the server runs as the services do. Environment: PORT, TOKENS_PER_SECOND.
"""

import os
from collections.abc import AsyncIterator

import uvicorn
from agents import Agent, RunConfig, Runner
from chatkit.agents import (
    AgentContext,
    simple_to_agent_input,
    stream_agent_response,  # pyright: ignore[reportUnknownVariableType]
)
from chatkit.server import ChatKitServer, StreamingResult
from chatkit.types import ThreadMetadata, ThreadStreamEvent, UserMessageItem
from fastapi import FastAPI, Request
from starlette.responses import Response, StreamingResponse

from agent_worker.agent import INSTRUCTIONS
from agent_worker.models.demo import DemoModel
from launcher.ports import LOOPBACK
from tests.bench.relay.memory_store import MemoryStore

MAX_RECENT_ITEMS = 15
PATH = "/chatkit"


class BaselineServer(ChatKitServer[None]):
    """Answers each user message with a streamed run of the agent."""

    def __init__(self, tokens_per_second: float) -> None:
        super().__init__(MemoryStore())
        self._agent = Agent[AgentContext[None]](
            name="Assistant", instructions=INSTRUCTIONS, model=DemoModel(tokens_per_second)
        )

    async def respond(
        self, thread: ThreadMetadata, input_user_message: UserMessageItem | None, context: None
    ) -> AsyncIterator[ThreadStreamEvent]:
        """Run the agent on the newest items and stream what it says."""
        page = await self.store.load_thread_items(
            thread.id, after=None, limit=MAX_RECENT_ITEMS, order="desc", context=context
        )
        agent_input = await simple_to_agent_input(list(reversed(page.data)))
        agent_context = AgentContext[None](thread=thread, store=self.store, request_context=context)
        config = RunConfig(tracing_disabled=True)
        result = Runner.run_streamed(self._agent, agent_input, context=agent_context, run_config=config)
        async for event in stream_agent_response(agent_context, result):
            yield event


def create_app(tokens_per_second: float) -> FastAPI:
    """Make the app."""
    app, server = FastAPI(), BaselineServer(tokens_per_second)

    @app.post(PATH)
    async def chatkit(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction] - used by its decorator
        result = await server.process(await request.body(), context=None)
        if isinstance(result, StreamingResult):
            return StreamingResponse(result, media_type="text/event-stream")
        return Response(result.json, media_type="application/json")

    @app.get("/healthz")
    async def healthz() -> Response:  # pyright: ignore[reportUnusedFunction] - used by its decorator
        return Response()

    return app


if __name__ == "__main__":
    uvicorn.run(
        create_app(float(os.environ["TOKENS_PER_SECOND"])),  # noqa: TID251 - the program's own settings
        host=LOOPBACK,
        port=int(os.environ["PORT"]),  # noqa: TID251 - the program's own settings
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
    )
