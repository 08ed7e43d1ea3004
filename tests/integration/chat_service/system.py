"""The chat-service and the history-service as two servers, and who talks to them in tests."""

import json
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import httpx
from pydantic import SecretStr
from redis.asyncio import Redis

from agent_worker import events
from chat_service.app import create_app as create_chat_app
from chat_service.resources import create_redis
from chat_service.settings import Settings as ChatSettings
from contracts import principal as scopes
from contracts.conversations import ItemPut, JsonObject, ToolCall
from contracts.ids import new_id
from contracts.principal import TrustedIssuer
from contracts.runs import Claim, ContextMessage, RunError, RunFinish, RunItemsPut
from history_client import HistoryClient, UserHistory, WorkerHistoryClient
from history_service.app import create_app as create_history_app
from history_service.settings import Settings as HistorySettings
from service_kit.internal_tokens import TokenSigner, generate_signing_key
from service_kit.service_client import open_service
from tests.support.history import claim_one
from tests.support.publisher import RunPublisher
from tests.support.servers import eventually, serve

CHAT_SERVICE_SCOPES = frozenset(
    {
        scopes.CONVERSATIONS_READ,
        scopes.CONVERSATIONS_WRITE,
        scopes.RUNS_CREATE,
        scopes.RUNS_READ,
        scopes.RUNS_CANCEL,
        scopes.RUNS_WATCH,
    }
)


class Senders:
    """A key pair of each service, and who trusts whom."""

    def __init__(self) -> None:
        self._keys = {
            name: generate_signing_key() for name in ("gateway", "chat-service", "history-service", "agent-worker")
        }

    def key(self, name: str) -> SecretStr:
        """Return a service's private key."""
        return SecretStr(self._keys[name][0])

    def signer(self, name: str) -> TokenSigner:
        """Return what signs as a service."""
        return TokenSigner(name, self._keys[name][0])

    def trust(self, **allowed: frozenset[str]) -> dict[str, TrustedIssuer]:
        """Return whom a service trusts with what; names with underscores."""
        return {
            name.replace("_", "-"): TrustedIssuer(public_key=self._keys[name.replace("_", "-")][1], scopes=scope)
            for name, scope in allowed.items()
        }


@dataclass
class StreamedChat:
    """A ChatKit response that is being streamed."""

    response: httpx.Response
    received: bytearray = field(default_factory=bytearray)

    def __post_init__(self) -> None:
        self._chunks = self.response.aiter_raw()

    @property
    def run_id(self) -> str:
        """The run whose events these are."""
        return self.response.headers["x-run-id"]

    async def read(self) -> None:
        """Read to the end."""
        async for chunk in self._chunks:
            self.received += chunk

    async def read_until(self, part: bytes) -> None:
        """Read until this was seen."""
        async for chunk in self._chunks:
            self.received += chunk
            if part in self.received:
                return
        raise AssertionError(f"ended without {part!r}")

    @property
    def events(self) -> list[dict[str, Any]]:
        """The JSON of all frames so far."""
        return events_of(bytes(self.received))


def events_of(received: bytes) -> list[dict[str, Any]]:
    """Return the JSON of all frames."""
    return [json.loads(line[6:]) for line in received.split(b"\n") if line.startswith(b"data: ")]


class User:
    """Somebody signed in, as the gateway lets them through."""

    def __init__(self, user_id: str, http: httpx.AsyncClient, signer: TokenSigner) -> None:
        self.user_id = user_id
        self._http = http
        self._signer = signer

    @property
    def headers(self) -> dict[str, str]:
        """A fresh token."""
        token = self._signer.sign("chat-service", [scopes.CHAT], user_id=self.user_id)
        return {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}

    async def post(self, kind: str, /, **params: Any) -> httpx.Response:
        """Send a ChatKit request and read the whole answer."""
        return await self._http.post("/chatkit", json={"type": kind, "params": params}, headers=self.headers)

    @asynccontextmanager
    async def stream(self, kind: str, /, **params: Any) -> AsyncGenerator[StreamedChat]:
        """Send a ChatKit request and stream the answer."""
        body = {"type": kind, "params": params}
        async with self._http.stream("POST", "/chatkit", json=body, headers=self.headers) as response:
            assert response.status_code == 200, await response.aread()
            yield StreamedChat(response)

    @asynccontextmanager
    async def follow(self, run_id: str, last_event_id: str | None = None) -> AsyncGenerator[StreamedChat]:
        """Stream a run's events."""
        headers = self.headers | ({"Last-Event-ID": last_event_id} if last_event_id else {})
        async with self._http.stream("GET", f"/runs/{run_id}/events", headers=headers) as response:
            assert response.status_code == 200, await response.aread()
            yield StreamedChat(response)


class Worker:
    """An agent-worker played by the test: real claims and items, events as it likes."""

    def __init__(self, history: WorkerHistoryClient, redis: Redis) -> None:
        self._history = history
        self._redis = redis
        self._held: dict[str, tuple[Claim, RunPublisher]] = {}

    async def claim(self) -> RunPublisher:
        """Claim the oldest run; returns what publishes its events."""
        claim = await claim_one(self._history, "worker-1")
        assert claim is not None
        return await self._begin(claim)

    async def _begin(self, claim: Claim) -> RunPublisher:
        publisher = RunPublisher(self._redis, claim.run.id, claim.run.attempt)
        self._held[claim.run.id] = (claim, publisher)
        await publisher.publish_run_event("run.in_progress")
        return publisher

    async def claim_soon(self) -> RunPublisher:
        """Claim the run that a request under way makes."""
        claims: list[Claim] = []

        async def is_claimed() -> bool:
            claims.extend(filter(None, [await claim_one(self._history, "worker-1")]))
            return bool(claims)

        await eventually(is_claimed, what="a run to claim")
        return await self._begin(claims[0])

    async def say(self, run_id: str, item_id: str, text: str, *, publish: bool = True) -> JsonObject:
        """Store an assistant message and publish it as done."""
        claim, publisher = self._held[run_id]
        item = events.assistant_item(item_id, claim.run.conversation_id, text)
        await self.store(run_id, item)
        if publish:
            await publisher.publish({"type": "thread.item.done", "item": item})
        return item

    async def store(self, run_id: str, item: JsonObject, *tool_calls: ToolCall) -> None:
        """Store an item of a held run."""
        claim, _ = self._held[run_id]
        put = RunItemsPut(attempt=claim.run.attempt, items=[ItemPut(payload=item, tool_calls=list(tool_calls))])
        await self._history.put_run_items(run_id, put, token=claim.token)

    async def finish(self, run_id: str, *, error: RunError | None = None, publish: bool = True) -> None:
        """End the run."""
        claim, publisher = self._held[run_id]
        status = "failed" if error else "completed"
        finish = RunFinish(attempt=claim.run.attempt, status=status, error=error)
        await self._history.finish_run(run_id, finish, token=claim.token)
        if publish:
            await publisher.publish_run_event("run.failed" if error else "run.completed")

    def stored(self, run_id: str) -> list[ContextMessage]:
        """Return what earlier attempts of a held run had stored when it was claimed."""
        claim, _ = self._held[run_id]
        return [message for message in claim.context if message.run_id == run_id]

    def conversation_of(self, run_id: str) -> str:
        """Return a held run's conversation."""
        return self._held[run_id][0].run.conversation_id

    def user_of(self, run_id: str) -> str:
        """Return a held run's user."""
        return self._held[run_id][0].run.user_id


@dataclass
class System:
    """Everything, running."""

    chat_url: str
    http: httpx.AsyncClient
    history: HistoryClient
    redis: Redis
    worker: Worker
    senders: Senders
    app: Any
    chat_settings: dict[str, Any]

    @asynccontextmanager
    async def another_instance(self) -> AsyncGenerator["System"]:
        """Run a second chat-service beside the first; everything else is the same."""
        async with _chat_service(self.chat_settings) as (chat_url, app, http):
            yield replace(self, chat_url=chat_url, app=app, http=http)

    def user(self, user_id: str = "alice") -> User:
        """Return somebody signed in."""
        return User(user_id, self.http, self.senders.signer("gateway"))

    def history_of(self, user_id: str = "alice") -> UserHistory:
        """Look at a user's history behind the chat-service's back."""
        return self.history.as_user(user_id)

    async def readers_left(self) -> None:
        """Wait until no stream is open any more."""
        await eventually(lambda: self.app.state.resources.relay.hub.channel_count == 0, what="readers left")


@asynccontextmanager
async def _chat_service(settings: dict[str, Any]) -> AsyncGenerator[tuple[str, Any, httpx.AsyncClient]]:
    app = create_chat_app(ChatSettings.model_validate(settings))
    # Streams are broken off: none leaves a connection behind that another request would use.
    limits = httpx.Limits(max_keepalive_connections=0)
    async with serve(app) as url, httpx.AsyncClient(base_url=url, timeout=20, limits=limits) as http:
        yield url, app, http


@asynccontextmanager
async def running_system(
    database_url: str, redis_url: str, *, history: dict[str, Any] | None = None, **chat_settings: Any
) -> AsyncGenerator[System]:
    """Run both services; `chat_settings` change the chat-service's, `history` the history-service's."""
    senders = Senders()
    history_settings = HistorySettings(
        database_url=SecretStr(database_url),
        internal_signing_key=senders.key("history-service"),
        internal_trust=senders.trust(
            chat_service=CHAT_SERVICE_SCOPES,
            agent_worker=frozenset({scopes.RUNS_WORK}),
            history_service=frozenset({scopes.RUNS_ITEMS, scopes.TASKS}),
        ),
        **(history or {}),
    )
    async with AsyncExitStack() as stack:
        history_url = await stack.enter_async_context(serve(create_history_app(history_settings)))
        settings = {
            "history_url": history_url,
            "redis_url": redis_url,
            "internal_signing_key": senders.key("chat-service"),
            "internal_trust": senders.trust(gateway=frozenset({scopes.CHAT})),
            **chat_settings,
        }
        chat_url, app, http = await stack.enter_async_context(_chat_service(settings))
        client = await stack.enter_async_context(open_service(history_url))
        redis = create_redis(redis_url)
        stack.push_async_callback(redis.aclose)
        yield System(
            chat_url=chat_url,
            http=http,
            history=HistoryClient(client, senders.signer("chat-service")),
            redis=redis,
            worker=Worker(WorkerHistoryClient(client, senders.signer("agent-worker")), redis),
            senders=senders,
            app=app,
            chat_settings=settings,
        )


def message(text: str, **changes: Any) -> dict[str, Any]:
    """Return a `UserMessageInput`."""
    content = [{"type": "input_text", "text": text}]
    return {"content": content, "attachments": [], "inference_options": {}, **changes}


def client_tool_call(thread_id: str) -> JsonObject:
    """Return the item of a call that waits for its client."""
    return {
        "id": new_id("tc"),
        "thread_id": thread_id,
        "created_at": datetime.now(UTC).isoformat(),
        "type": "client_tool_call",
        "status": "pending",
        "call_id": "call_1",
        "name": "pick",
        "arguments": {"from": None},
    }
