"""The history-service as programs of their own."""

import json
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from contracts.pages import MAX_PAGE_LIMIT
from history_client import HistoryClient, UserHistory
from launcher.ports import LOOPBACK
from service_kit.http_exchange import BrokenAnswerError, UnreachableError
from service_kit.service_client import ServiceClient, open_service
from tests.integration.history_service.conftest import KEYS, TRUST, signer
from tests.support.ports import free_port
from tests.support.servers import eventually, run_process

READY_SECONDS = 30.0


@asynccontextmanager
async def running_programs(
    count: int, database_url: str, folder: Path, **env: str
) -> AsyncGenerator[list[ServiceClient]]:
    """Run `count` processes of the service, settings as given; gives a client for each."""
    trust = {issuer: trusted.model_dump(mode="json") for issuer, trusted in TRUST.items()}
    env = {
        "DATABASE_URL": database_url,
        "INTERNAL_SIGNING_KEY": KEYS["history-service"][0],
        "INTERNAL_TRUST": json.dumps(trust),
        **env,
    }
    async with AsyncExitStack() as stack:
        clients: list[ServiceClient] = []
        for number in range(count):
            port = free_port()
            program = run_process(
                ("python", "-m", "history_service"),
                log=folder / f"history-{number}.log",
                env={**env, "HISTORY_PORT": str(port)},
            )
            await stack.enter_async_context(program)
            clients.append(await stack.enter_async_context(open_service(f"http://{LOOPBACK}:{port}")))
        for service in clients:
            await ready(service)
        yield clients


async def ready(service: ServiceClient, *, seconds: float = READY_SECONDS) -> None:
    """Wait until the service says that it is ready."""

    async def is_ready() -> bool:
        try:
            await service.ping("/readyz")
        except (UnreachableError, BrokenAnswerError):
            return False
        return True

    await eventually(is_ready, seconds=seconds, what="readyz is ok")


def users_of(service: ServiceClient, user_id: str) -> UserHistory:
    """Return the history of a user by way of one process."""
    return HistoryClient(service, signer("chat-service")).as_user(user_id)


async def log_of(user: UserHistory, conversation_id: str) -> list[tuple[int, str, str]]:
    """Return position, id and text of all messages of a conversation, page by page, oldest first."""
    found: list[tuple[int, str, str]] = []
    after: str | None = None
    while True:
        page = await user.list_messages(conversation_id, limit=MAX_PAGE_LIMIT, after=after)
        found += [(message.position, message.id, message.content) for message in page.data]
        after = page.after
        if not page.has_more:
            return found
