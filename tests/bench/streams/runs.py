"""Runs that wait: made as a page makes them, by messages, in a product that has no worker."""

import asyncio
from collections.abc import Mapping
from itertools import cycle, islice

import httpx

AT_ONCE = 8
_MESSAGE: dict[str, object] = {
    "content": [{"type": "input_text", "text": "hello"}],
    "attachments": [],
    "inference_options": {},
}
_REQUEST: dict[str, object] = {"type": "threads.create", "params": {"input": _MESSAGE}}


async def create_runs(url: str, tokens: Mapping[str, str], number: int) -> list[tuple[str, str]]:
    """Send so many messages, of each user in turn; return the user and the run of each. Their streams are left."""
    limit = asyncio.Semaphore(AT_ONCE)
    async with httpx.AsyncClient(base_url=url, timeout=60.0) as client:

        async def create(user_id: str) -> tuple[str, str]:
            headers = {"Authorization": f"Bearer {tokens[user_id]}"}
            path = f"/api/{user_id}/chatkit"
            async with limit, client.stream("POST", path, json=_REQUEST, headers=headers) as response:
                if response.status_code != 200:
                    raise AssertionError((await response.aread()).decode())
                return user_id, response.headers["x-run-id"]

        return await asyncio.gather(*(create(user_id) for user_id in islice(cycle(tokens), number)))
