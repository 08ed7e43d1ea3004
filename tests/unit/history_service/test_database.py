"""Addresses of databases, as Neon and libpq write them."""

import pytest
from pydantic import SecretStr, ValidationError

from service_kit.database import DatabaseSettings, asyncpg_url, direct_url, is_pooled

NEON = "postgresql://me:p%40ss@ep-cool-1-pooler.eu.neon.example/db?sslmode=require&channel_binding=require"


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+asyncpg"])
def test_accepted_schemes(scheme: str) -> None:
    url = asyncpg_url(f"{scheme}://me:secret@db.example:5433/history")
    assert url.drivername == "postgresql+asyncpg"
    assert (url.host, url.port, url.database, url.password) == ("db.example", 5433, "history", "secret")


def test_libpq_parameters_are_translated() -> None:
    url = asyncpg_url(NEON)
    assert dict(url.query) == {"ssl": "require"}
    assert url.password == "p@ss"


@pytest.mark.parametrize("url", ["", "mysql://db.example/x", "sqlite://", "db.example", "postgresql+psycopg://x/y"])
def test_other_databases_are_refused(url: str) -> None:
    with pytest.raises(ValidationError):
        DatabaseSettings(database_url=SecretStr(url))


def test_poolers_are_recognised_and_gone_around() -> None:
    pooled, direct = asyncpg_url(NEON), asyncpg_url("postgresql://ep-cool-1.eu.neon.example/db")
    assert is_pooled(pooled, "auto")
    assert not is_pooled(pooled, "off")
    assert not is_pooled(direct, "auto")
    assert is_pooled(direct, "on")
    assert direct_url(pooled).host == "ep-cool-1.eu.neon.example"
    assert direct_url(direct) == direct
