"""A service's connection that nothing comes over by itself."""


class SilentLine:
    """Stands in for `http_connections.Connection`: a test feeds the exchange itself."""

    host = b"service"
    is_reading = True

    def write(self, data: bytes) -> None:
        """Take bytes."""

    async def drain(self) -> None:
        """Wait for nothing."""

    def pause_reading(self) -> None:
        """Note that no more is wanted for now."""
        self.is_reading = False

    def resume_reading(self) -> None:
        """Note that more is wanted."""
        self.is_reading = True

    def release(self, *, reusable: bool) -> None:
        """End."""
