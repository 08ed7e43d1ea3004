"""Settings of the limits. What is reached when, and what comes then: docs/limits.md."""

import json
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Annotated, Literal

from limits import RateLimitItem, parse_many
from pydantic import Field, field_validator
from pydantic_settings import NoDecode

from service_kit.settings import ServiceSettings

OFF = "off"

Network = IPv4Network | IPv6Network
WhenUnshared = Literal["open", "closed"]


def parse_rate(text: str) -> RateLimitItem | None:
    """Return the rate that a text such as `600/minute` or `20 per 10 seconds` names; None if it is off or empty.

    Raises ValueError.
    """
    if text.strip().lower() in {"", OFF}:
        return None
    rates = parse_many(text)
    if len(rates) != 1 or rates[0].amount < 1 or rates[0].get_expiry() < 1:
        raise ValueError(f"not one rate such as 600/minute: {text!r}")
    return rates[0]


class LimitSettings(ServiceSettings):
    """What the limits read from the environment."""

    rate_limit_user: str = "600/minute"
    """Requests of one user, after their token was verified; `off` for none."""

    rate_limit_address: str = "12000/minute"
    """Requests of one client address, whatever their token is worth; `off` for none. A crowd may share an address."""

    rate_limit_fail: WhenUnshared = "open"
    """While Redis does not answer: `open` goes on with this gateway's own count, `closed` answers 503."""

    rate_limit_sync_ms: int = Field(default=5000, ge=10)
    """Longest time that a counted request stays unknown to the other gateways."""

    rate_limit_keys: int = Field(default=20_000, ge=100)
    """Users, and as many addresses, whose counts are kept in memory (about 0.5 KB each); the last active ones."""

    streams_per_user: int = Field(default=32, ge=0)
    """Streams of one user that may be open at once; 0 for any number."""

    streams_per_address: int = Field(default=2000, ge=0)
    """Streams of one client address that may be open at once; 0 for any number."""

    streams_fail: WhenUnshared = "open"
    """While Redis does not answer: `open` goes on with this gateway's own count, `closed` answers 503."""

    stream_lease_seconds: float = Field(default=30.0, gt=0)
    """How long a stream counts after its gateway was last heard of. It is renewed three times in that time."""

    trusted_proxies: Annotated[list[Network], NoDecode] = Field(default_factory=list[Network])
    """Networks (CIDR) whose `X-Forwarded-For` is believed, as JSON list or separated by commas."""

    @field_validator("rate_limit_user", "rate_limit_address")
    @classmethod
    def _check_rate(cls, value: str) -> str:
        parse_rate(value)
        return value

    @field_validator("trusted_proxies", mode="before")
    @classmethod
    def _split_networks(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        texts = json.loads(value) if value.lstrip().startswith("[") else value.split(",")
        return [ip_network(text.strip()) for text in texts if text.strip()]
