"""Where attachments' bytes are: a folder, or a bucket that speaks S3.

`obstore` does the work, through its blocking calls in threads: its asyncio calls hand results over from threads of
their own, which can abort the interpreter while it shuts down.
"""

import asyncio
import hashlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import IO, TYPE_CHECKING, Protocol
from urllib.parse import unquote, urlsplit

import structlog
from obstore.exceptions import BaseError
from obstore.store import LocalStore, S3Store

from contracts.ids import uuid7
from history_service.errors import BlobsUnavailableError
from history_service.settings import Settings

if TYPE_CHECKING:
    from obstore.store import S3Config

READ_BYTES = 256 * 1024
REQUEST_SECONDS = 30
"""How long one request to a bucket may take, and how long it is repeated."""

log = structlog.get_logger(__name__)


class BlobStore(Protocol):
    """Bytes under keys. What fails for reasons of the store's own raises BlobsUnavailableError."""

    async def put(self, key: str, content: IO[bytes]) -> None:
        """Store all of `content`: whole or not at all."""
        ...

    async def open(self, key: str) -> Iterator[bytes] | None:
        """Return the bytes in pieces, to be iterated in a thread; None if there are none."""
        ...

    async def delete(self, key: str) -> None:
        """Remove the bytes, if there are any."""
        ...


def new_blob_key(user_id: str) -> str:
    """Return a key that only this user may have: the database checks that it begins with the owner's digest."""
    return f"{hashlib.sha256(user_id.encode()).hexdigest()}/{uuid7().hex}"


class BucketBlobs:
    """A bucket, or a part of one. It is opened when it is first needed."""

    def __init__(self, open_store: Callable[[], LocalStore | S3Store]) -> None:
        self._open_store = open_store

    @cached_property
    def _store(self) -> LocalStore | S3Store:
        return self._open_store()

    async def put(self, key: str, content: IO[bytes]) -> None:
        """See BlobStore."""
        try:
            await asyncio.to_thread(self._store.put, key, content)
        except (BaseError, OSError) as error:
            raise _unavailable("put", error) from error

    async def open(self, key: str) -> Iterator[bytes] | None:
        """See BlobStore."""
        try:
            found = await asyncio.to_thread(self._store.get, key)
        except FileNotFoundError:
            return None
        except (BaseError, OSError) as error:
            raise _unavailable("get", error) from error
        return iter(found.stream(min_chunk_size=READ_BYTES))

    async def delete(self, key: str) -> None:
        """See BlobStore."""
        try:
            await asyncio.to_thread(self._store.delete, key)
        except FileNotFoundError:
            return
        except (BaseError, OSError) as error:
            raise _unavailable("delete", error) from error


class FolderBlobs(BucketBlobs):
    """A folder. A put writes `<key>#1` and renames it, so a process that dies in between leaves that file behind."""

    def __init__(self, folder: Path) -> None:
        super().__init__(lambda: LocalStore(folder, mkdir=True, automatic_cleanup=True))
        self._folder = folder

    async def delete(self, key: str) -> None:
        """Remove the bytes, and what puts under this key have left behind."""
        await asyncio.to_thread(self._remove_remains, key)
        await super().delete(key)

    def _remove_remains(self, key: str) -> None:
        path = self._folder / key
        for remains in path.parent.glob(f"{path.name}#*"):
            remains.unlink(missing_ok=True)
        with suppress(OSError):
            path.parent.rmdir()


def open_blobs(settings: Settings) -> BlobStore:
    """Return the store that BLOB_URL names: `file:///folder` (made if missing) or `s3://bucket/prefix`."""
    url = urlsplit(settings.blob_url)
    path = unquote(url.path)
    if url.scheme == "file":
        return FolderBlobs(Path(path).absolute())
    return BucketBlobs(lambda: _bucket(settings, url.netloc, path.strip("/")))


def _bucket(settings: Settings, name: str, prefix: str) -> S3Store:
    config: S3Config = {}
    endpoint, secret = settings.blob_s3_endpoint_url, settings.blob_s3_secret_access_key
    if endpoint is not None:
        config["endpoint"] = str(endpoint)
    if settings.blob_s3_region is not None:
        config["region"] = settings.blob_s3_region
    if settings.blob_s3_access_key_id is not None:
        config["access_key_id"] = settings.blob_s3_access_key_id
    if secret is not None:
        config["secret_access_key"] = secret.get_secret_value()
    span = timedelta(seconds=REQUEST_SECONDS)
    return S3Store(
        name,
        prefix=prefix or None,
        config=config,
        client_options={"timeout": span, "allow_http": endpoint is not None and endpoint.scheme == "http"},
        retry_config={"max_retries": 3, "retry_timeout": span},
    )


def _unavailable(what: str, error: Exception) -> BlobsUnavailableError:
    log.error("blobs_unavailable", operation=what, exc_info=error)
    return BlobsUnavailableError()
