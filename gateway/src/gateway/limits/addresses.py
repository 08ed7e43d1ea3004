"""Where a request comes from: the client's address, as far as it can be known."""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

from starlette.types import Scope

from gateway.limits.settings import Network

IPV6_PREFIX = 64
"""IPv6 is counted by network: a customer is given at least a /64, and with it 2^64 addresses."""

UNKNOWN = "unknown"
"""What requests are counted under whose proxy names no address."""

_FORWARDED = b"x-forwarded-for"
_KEPT = 4096
_KEPT_BYTES = 100


class ClientAddresses:
    """Tells client addresses apart. Behind trusted proxies, it is the nearest one that is none of them."""

    def __init__(self, trusted_proxies: Sequence[Network]) -> None:
        self._trusted = tuple(trusted_proxies)
        self._of_peer = lru_cache(_KEPT)(self._counted)
        self._of_hops = lru_cache(_KEPT)(self._behind_proxies)

    def of(self, scope: Scope) -> str | None:
        """Return what the request is counted under; None if it comes from a trusted proxy itself."""
        peer = scope["client"]
        if peer is None:
            return None
        counted = self._of_peer(peer[0])
        if counted is not None or not self._trusted:
            return counted
        forwarded = b",".join(value for name, value in scope["headers"] if name == _FORWARDED)
        find = self._of_hops if len(forwarded) <= _KEPT_BYTES else self._behind_proxies
        return find(forwarded)

    def of_peer(self, host: str) -> str | None:
        """Return what a connection from this host is counted under; None for a trusted proxy."""
        return self._of_peer(host)

    def _behind_proxies(self, forwarded: bytes) -> str | None:
        """Return the rightmost hop that is no trusted proxy: what stands further left, anybody can have written."""
        for hop in reversed(forwarded.decode("latin-1").split(",")):
            if not hop.strip():
                continue
            address = parse_address(hop)
            if address is None:
                return UNKNOWN
            if not _is_in(address, self._trusted):
                return to_key(address)
        return None

    def _counted(self, host: str) -> str | None:
        address = parse_address(host)
        if address is None:
            return host
        return None if _is_in(address, self._trusted) else to_key(address)


def parse_address(text: str) -> IPv4Address | IPv6Address | None:
    """Read an address as sockets and proxies write it: with a zone, a port or brackets, or as IPv4 within IPv6."""
    text = text.strip().strip('"')
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return (isinstance(address, IPv6Address) and address.ipv4_mapped) or address


def to_key(address: IPv4Address | IPv6Address) -> str:
    """Return the address or, of IPv6, its /64."""
    if isinstance(address, IPv4Address):
        return str(address)
    return str(IPv6Network((address, IPV6_PREFIX), strict=False))


def _is_in(address: IPv4Address | IPv6Address, networks: Iterable[Network]) -> bool:
    return any(address in network for network in networks)
