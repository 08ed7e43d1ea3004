"""The limits' parts that need nothing outside: settings, client addresses, and the clock of windows."""

import pytest
from pydantic import ValidationError

from gateway.limits.addresses import UNKNOWN, ClientAddresses, parse_address
from gateway.limits.settings import LimitSettings, parse_rate

PROXIES = LimitSettings(trusted_proxies="10.0.0.0/8, 2001:db8:1::/48").trusted_proxies  # type: ignore[arg-type]


def address(peer: str | None, *forwarded: str, trusted: bool = True) -> str | None:
    headers = [(b"x-forwarded-for", value.encode()) for value in forwarded]
    client = (peer, 1234) if peer is not None else None
    return ClientAddresses(PROXIES if trusted else []).of({"client": client, "headers": headers})


@pytest.mark.parametrize("text", ["600/minute", "600 per minute", "20/10 seconds", "1/day"])
def test_rates_are_read(text: str) -> None:
    rate = parse_rate(text)
    assert rate is not None
    assert LimitSettings(rate_limit_user=text).rate_limit_user == text


@pytest.mark.parametrize("text", ["", " ", "off", "OFF"])
def test_rates_can_be_off(text: str) -> None:
    assert parse_rate(text) is None


@pytest.mark.parametrize("text", ["600", "0/minute", "-1/minute", "600/fortnight", "1/second;9/minute", "a/minute"])
def test_what_is_no_rate_is_refused_at_the_start(text: str) -> None:
    with pytest.raises(ValidationError):
        LimitSettings(rate_limit_user=text)


def test_networks_are_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRUSTED_PROXIES", '["10.0.0.0/8"]')
    assert [str(network) for network in LimitSettings().trusted_proxies] == ["10.0.0.0/8"]
    monkeypatch.setenv("TRUSTED_PROXIES", "10.0.0.1/8")
    with pytest.raises(ValidationError):
        LimitSettings()


def test_without_trusted_proxies_the_peer_counts() -> None:
    assert address("198.51.100.7", "203.0.113.9", trusted=False) == "198.51.100.7"
    assert address("10.0.0.1", "203.0.113.9", trusted=False) == "10.0.0.1"


def test_a_stranger_cannot_name_another_address() -> None:
    assert address("198.51.100.7", "203.0.113.9") == "198.51.100.7"


@pytest.mark.parametrize(
    ("forwarded", "expected"),
    [
        (["203.0.113.9"], "203.0.113.9"),
        (["6.6.6.6, 203.0.113.9"], "203.0.113.9"),
        (["6.6.6.6", "203.0.113.9, 10.2.3.4"], "203.0.113.9"),
        (["203.0.113.9:4711"], "203.0.113.9"),
        (["[2001:db8:2:3:4:5:6:7]:4711"], "2001:db8:2:3::/64"),
        (["::ffff:203.0.113.9"], "203.0.113.9"),
        (["6.6.6.6, somebody"], UNKNOWN),
        (["10.9.9.9"], None),
        ([""], None),
        ([], None),
    ],
)
def test_behind_proxies_the_nearest_stranger_counts(forwarded: list[str], expected: str | None) -> None:
    assert address("10.0.0.1", *forwarded) == expected
    assert address("2001:db8:1::1", *forwarded) == expected


def test_ipv6_is_counted_by_network() -> None:
    assert address("2001:db8:2:3::1") == address("2001:db8:2:3:ffff::2") == "2001:db8:2:3::/64"
    assert address("2001:db8:2:4::1") != address("2001:db8:2:3::1")
    assert address("fe80::1%eth0") == "fe80::/64"


def test_a_peer_without_an_address_is_not_counted() -> None:
    assert address(None) is None
    assert parse_address("gateway.internal") is None
