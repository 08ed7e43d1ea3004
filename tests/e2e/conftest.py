"""One running product, without its page, for the tests over HTTP that do not disturb it."""

from collections.abc import AsyncGenerator
from uuid import uuid4

import pytest
import pytest_asyncio

from tests.support.system import System, running_system


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def system(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[System]:
    """A product that all tests share: users of their own keep them apart."""
    async with running_system(tmp_path_factory.mktemp("product") / "data") as running:
        yield running


@pytest.fixture
def user_id() -> str:
    """A user whom nobody else is."""
    return uuid4().hex
