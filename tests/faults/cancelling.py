"""How long it takes from a cancel at the gateway until the model's connection is closed, as a stub of it sees it."""

import asyncio
import time
from pathlib import Path

from tests.support.chatkit import ChatKitClient
from tests.support.model_server import WORDS, create_model_server
from tests.support.servers import serve
from tests.support.system import System, running_system

MODEL_APIS = ("chat_completions", "responses")
MEASURE_SECONDS = 60.0


async def measure_cancels(api: str, rounds: int, folder: Path) -> list[float]:
    """Return the seconds of each round. Everything between the client and the model is the product's own."""
    hung_up = asyncio.Event()
    async with (
        serve(create_model_server([], asyncio.Event(), hung_up)) as url,
        running_system(
            folder / api,
            MODEL_PROVIDER="compatible",
            MODEL="stub",
            MODEL_BASE_URL=f"{url}/v1",
            MODEL_API_KEY="stub",
            MODEL_API=api,
        ) as system,
    ):
        return [await _measure(system, f"user-{number}", hung_up) for number in range(rounds)]


async def _measure(system: System, user_id: str, hung_up: asyncio.Event) -> float:
    hung_up.clear()
    async with (
        asyncio.timeout(MEASURE_SECONDS),
        system.client(user_id) as http,
        ChatKitClient(http, user_id).say("Add a task to buy milk") as answer,
    ):
        await answer.until(lambda answer: WORDS[0] in answer.text)
        asked = time.monotonic()
        (await http.post(f"/api/{user_id}/runs/{answer.run_id}/cancel")).raise_for_status()
        await hung_up.wait()
        closed = time.monotonic()
        await answer.to_the_end()
    return closed - asked
