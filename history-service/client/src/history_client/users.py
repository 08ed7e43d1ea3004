"""All of a user's data: exported and deleted."""

from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterable

from pydantic import TypeAdapter, ValidationError

from contracts import principal
from contracts.export import ConversationExport, ExportCounts, ExportEnd, ExportHeader, ExportRecord
from history_client.calls import UserCalls, path_of
from history_client.errors import HistoryExportBrokenError, HistoryUnavailableError
from history_client.transport import chunks_of
from service_kit.answers import OpenAnswer

_RECORD: TypeAdapter[ExportRecord] = TypeAdapter(ExportRecord)
_COUNTED = {
    "conversation": "conversations",
    "item": "items",
    "run": "runs",
    "feedback": "feedback",
    "attachment": "attachments",
}
_UNFINISHED = "deletion_unfinished"


class DataCalls(UserCalls):
    """The user's data as a whole."""

    async def export_conversation(self, conversation_id: str) -> ConversationExport:
        """Return all that is stored of a conversation."""
        async with self._stream(
            path_of("conversations", conversation_id, "export"), principal.CONVERSATIONS_READ
        ) as answer:
            return ConversationExport.model_validate_json(await _read(answer))

    async def export_user(self) -> AsyncGenerator[ExportRecord]:
        """Yield all of the user's records, from the header to the end.

        Raises HistoryExportBrokenError if the end is missing or its counts are not those of the records.
        """
        counts: Counter[str] = Counter()
        last: ExportRecord | None = None
        async with self._stream(path_of("export"), principal.USERS_EXPORT) as answer:
            async for line in _lines(chunks_of(answer)):
                if isinstance(last, ExportEnd):
                    raise HistoryExportBrokenError()
                record = _record(line)
                if (last is None) != isinstance(record, ExportHeader):
                    raise HistoryExportBrokenError()
                if isinstance(record, ExportEnd) and record.counts != ExportCounts(**counts):
                    raise HistoryExportBrokenError()
                if record.type in _COUNTED:
                    counts[_COUNTED[record.type]] += 1
                last = record
                yield record
        if not isinstance(last, ExportEnd):
            raise HistoryExportBrokenError()

    async def delete_user(self) -> None:
        """Delete everything of the user: repeated until it is done, which a HistoryError may interrupt."""
        while True:
            try:
                await self._send("DELETE", path_of("users", self._user_id), principal.USERS_DELETE)
            except HistoryUnavailableError as error:
                if error.code != _UNFINISHED:
                    raise
            else:
                return


async def _read(answer: OpenAnswer) -> bytes:
    return b"".join([chunk async for chunk in chunks_of(answer)])


async def _lines(chunks: AsyncIterable[bytes]) -> AsyncGenerator[bytes]:
    """Split at LF alone: a JSON text may contain what Unicode calls line separators."""
    rest: list[bytes] = []
    async for chunk in chunks:
        *lines, tail = chunk.split(b"\n")
        for line in lines:
            yield b"".join((*rest, line))
            rest.clear()
        if tail:
            rest.append(tail)
    if rest:
        raise HistoryExportBrokenError()


def _record(line: bytes) -> ExportRecord:
    try:
        return _RECORD.validate_json(line)
    except ValidationError as error:
        raise HistoryExportBrokenError() from error
