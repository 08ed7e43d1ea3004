"""Tokens for the services inside: used again, and never one that they would refuse."""

import pytest
from pydantic import SecretStr

from contracts.principal import TASKS
from gateway.forwarding.targets import Target
from gateway.forwarding.upstreams import TOKEN_REUSE_SECONDS, Upstreams
from gateway.settings import Settings
from service_kit.internal_tokens import generate_signing_key

TARGET = Target("task-tools", TASKS)


async def test_a_clock_that_is_set_brings_a_new_token(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1_000_000.0
    monkeypatch.setattr("time.time", lambda: now)
    settings = Settings(internal_signing_key=SecretStr(generate_signing_key()[0]))
    async with Upstreams.open(settings) as upstreams:
        first = upstreams.token_for("ann", TARGET)
        now += TOKEN_REUSE_SECONDS - 1
        assert upstreams.token_for("ann", TARGET) == first
        now += 2
        second = upstreams.token_for("ann", TARGET)
        now -= 3600
        third = upstreams.token_for("ann", TARGET)
        assert len({first, second, third}) == 3
