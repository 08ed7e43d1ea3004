"""docker-compose.yml gives each service what `make up` gives it, and no way to what it does not need."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from launcher.environments import COMMON, NETWORK, OPTIONAL

COMPOSE: dict[str, Any] = yaml.safe_load((Path(__file__).parents[3] / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]

OUT_OF_REACH = {
    "LOG_FORMAT",  # the images say
    *NETWORK,  # a proxy of the host's own is none of a container's
    *(
        "BLOB_S3_ENDPOINT_URL",
        "BLOB_S3_REGION",
        "BLOB_S3_ACCESS_KEY_ID",
        "BLOB_S3_SECRET_ACCESS_KEY",
    ),  # needs a network
}
OF_PYTHON = {"LOG_LEVEL", "SHUTDOWN_GRACE_SECONDS"}


@pytest.mark.parametrize("service", OPTIONAL)
def test_every_setting_can_be_set_in_compose(service: str) -> None:
    names = {*COMMON, *OPTIONAL[service]} - OUT_OF_REACH
    if service == "frontend":
        names -= OF_PYTHON
    assert names <= SERVICES[service]["environment"].keys()


def test_only_what_has_a_database_url_reaches_the_database() -> None:
    beside = {name for name, service in SERVICES.items() if "data" in service["networks"]} - {"postgres"}
    assert beside == {name for name, service in SERVICES.items() if "DATABASE_URL" in service.get("environment", {})}


def test_each_service_reaches_those_that_it_has_an_address_of() -> None:
    for name, service in SERVICES.items():
        if name.startswith("migrate-"):
            continue  # talks to the database alone
        for value in service.get("environment", {}).values():
            host = str(value).partition("://")[2].rpartition("@")[2].partition(":")[0]
            if host in SERVICES:
                assert set(service["networks"]) & set(SERVICES[host]["networks"]), f"{name} → {host}"


@pytest.mark.parametrize("service", ["chat-service", "agent-worker"])
def test_a_key_or_an_address_chooses_the_model(service: str) -> None:
    environment = SERVICES[service]["environment"]
    assert environment["MODEL_PROVIDER"] == "${MODEL_PROVIDER:-}"
    assert {"OPENAI_API_KEY", "MODEL_BASE_URL", "MODEL"} <= environment.keys()


def test_the_model_s_key_is_given_to_workers_alone() -> None:
    given = {name: service.get("environment", {}).get("OPENAI_API_KEY") for name, service in SERVICES.items()}
    assert {name for name, value in given.items() if value == "${OPENAI_API_KEY:-}"} == {"agent-worker"}
    assert given["chat-service"] == "${OPENAI_API_KEY:+set}"
