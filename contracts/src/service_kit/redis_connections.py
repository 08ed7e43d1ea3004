"""Connections to Redis that are made anew after a reset, also under uvloop.

A connection that is reset while nobody uses it is closed by the event loop, and redis-py does not hear of it. asyncio
lets it find out when it next writes; uvloop raises RuntimeError there, which redis-py takes for no lost connection: it
does not try again, and the callers' handling of RedisError is passed by.
"""

from typing import TYPE_CHECKING, Any, cast

from redis.asyncio import ConnectionPool
from redis.asyncio.connection import AbstractConnection

_Base = AbstractConnection if TYPE_CHECKING else object


class _NoticesReset(_Base):
    """Looks at the transport before it writes."""

    async def send_packed_command(self, command: Any, check_health: bool = True) -> None:
        """Send on an open connection. Raises RedisError."""
        writer = self._writer
        if writer is not None and writer.transport.is_closing():
            await self.disconnect(nowait=True)
        await super().send_packed_command(command, check_health)


def notice_resets(pool: ConnectionPool) -> None:
    """Let the connections that the pool makes from now on be made anew when they turn out to be closed."""
    plain = pool.connection_class
    pool.connection_class = cast("Any", type(plain.__name__, (_NoticesReset, plain), {}))
