"""The page in a real browser: the story (sign up, ask, watch the answer stream, see the task, reload), and attacks."""

import asyncio
import os
from pathlib import Path

from tests.support.system import PROJECT, running_system

STORY_SECONDS = 240.0


async def test_the_story_is_lived_and_attacks_from_the_browser_fail(tmp_path: Path) -> None:
    # A slow model: the page must be seen to show the text as it grows, also on a busy machine.
    pace = {"DEMO_TOKENS_PER_SECOND": "5", "CHATKIT_SCRIPT_TIMEOUT_MS": "1000"}
    async with running_system(tmp_path / "data", page=True, **pace) as system:
        env = {**os.environ, "BASE_URL": system.page_url}  # noqa: TID251 - node and the browser need the machine's
        story = await asyncio.create_subprocess_exec(
            *("npm", "run", "--silent", "e2e"),
            cwd=PROJECT / "frontend",
            env=env,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        try:
            async with asyncio.timeout(STORY_SECONDS):
                output, _ = await story.communicate()
        finally:
            if story.returncode is None:
                story.kill()
        assert story.returncode == 0, f"{output.decode()}\n{system.output[-5000:]}"
