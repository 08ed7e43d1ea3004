"""Addresses of databases, as Neon and libpq write them."""

import pytest
from pydantic import SecretStr, ValidationError

from service_kit.database_settings import DatabaseSettings, asyncpg_url, direct_url, is_pooled

NEON = "postgresql://me:p%40ss@ep-cool-1-pooler.eu.neon.example/db?sslmode=require&channel_binding=require"


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+asyncpg"])
def test_accepted_schemes(scheme: str) -> None:
    assert (
        asyncpg_url(f"{scheme}://me:secret@db.example:5433/history") == "postgresql://me:secret@db.example:5433/history"
    )


def test_what_concerns_libpq_alone_is_left_out() -> None:
    assert asyncpg_url(NEON) == NEON.removesuffix("&channel_binding=require")
    kept = "application_name=threadkeep&options=endpoint%3Dep-cool-1&sslmode=verify-full&sslrootcert=%2Fca.pem"
    dropped = "&connect_timeout=15&keepalives=1&pgbouncer=true"
    assert asyncpg_url(f"postgresql://db.example/x?{kept}{dropped}").partition("?")[2] == kept


@pytest.mark.parametrize("url", ["", "mysql://db.example/x", "sqlite://", "db.example", "postgresql+psycopg://x/y"])
def test_other_databases_are_refused(url: str) -> None:
    with pytest.raises(ValidationError):
        DatabaseSettings(database_url=SecretStr(url))


def test_poolers_are_recognised_and_gone_around() -> None:
    direct = "postgresql://ep-cool-1.eu.neon.example/db"

    def pooled(url: str, pooler: str = "auto") -> bool:
        return is_pooled(DatabaseSettings.model_validate({"database_url": url, "database_pooler": pooler}))

    assert pooled(NEON)
    assert not pooled(NEON, "off")
    assert not pooled(direct)
    assert pooled(direct, "on")
    assert direct_url(NEON) == "postgresql://me:p%40ss@ep-cool-1.eu.neon.example/db?sslmode=require"
    assert direct_url(direct) == direct
