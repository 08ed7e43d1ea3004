"""Exports, written while they are read: no transaction is open while the reader takes its time."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass

from contracts.conversations import Conversation
from contracts.export import (
    CONVERSATION_EXPORT_FORMAT,
    EXPORT_VERSION,
    ConversationRecord,
    ExportCounts,
    ExportEnd,
    ExportHeader,
)
from history_service.storage.exports import BATCH_ROWS, ExportStore, ReadBatch, Seen
from history_service.storage.user import UserAccess


@dataclass(frozen=True)
class _Section:
    """Records of one kind: `type` in a line, `name` in a document and among the counts."""

    type: str
    name: str
    read: ReadBatch


_SECTIONS = (
    _Section("item", "items", ExportStore.items),
    _Section("run", "runs", ExportStore.runs),
    _Section("feedback", "feedback", ExportStore.feedback),
    _Section("attachment", "attachments", ExportStore.attachments),
)


class ExportService:
    """Writes out all that is stored of one user."""

    def __init__(self, user: UserAccess) -> None:
        self._user = user

    async def begin(self) -> ExportHeader:
        """Return the first line of the user's export; what fails here can still be answered as a problem."""
        async with self._user.transaction() as history:
            return ExportHeader(user_id=history.user_id, started_at=await history.exports.time())

    async def lines(self, header: ExportHeader) -> AsyncGenerator[bytes]:
        """Write NDJSON, as `contracts.export` describes it: header, records, end."""
        counts = ExportCounts()
        yield _line(header.model_dump_json())
        async for conversation in self._conversations():
            counts.conversations += 1
            yield _line(ConversationRecord(data=conversation).model_dump_json())
            async for section, texts in self._sections(conversation.id):
                _count(counts, section.name, len(texts))
                yield b"".join(_record(section.type, text) for text in texts)
        async for texts in self._unattached():
            counts.attachments += len(texts)
            yield b"".join(_record("attachment", text) for text in texts)
        async with self._user.transaction() as history:
            finished_at = await history.exports.time()
        yield _line(ExportEnd(counts=counts, finished_at=finished_at).model_dump_json())

    async def document(self, conversation: Conversation) -> AsyncGenerator[bytes]:
        """Write the JSON of a `contracts.export.ConversationExport`."""
        async with self._user.transaction() as history:
            exported_at = await history.exports.time()
        head = f'{{"format":"{CONVERSATION_EXPORT_FORMAT}","version":{EXPORT_VERSION},"exported_at":"'
        yield f'{head}{exported_at.isoformat()}","conversation":{conversation.model_dump_json()}'.encode()
        opened, separator = 0, ""
        async for section, texts in self._sections(conversation.id):
            while opened == 0 or _SECTIONS[opened - 1] is not section:
                yield _opening(opened)
                opened, separator = opened + 1, ""
            yield (separator + ",".join(texts)).encode()
            separator = ","
        while opened < len(_SECTIONS):
            yield _opening(opened)
            opened += 1
        yield b"]}"

    async def _conversations(self) -> AsyncGenerator[Conversation]:
        after = ""
        while True:
            async with self._user.transaction() as history:
                page = await history.exports.conversations(after)
            for conversation in page:
                yield conversation
            if len(page) < BATCH_ROWS:
                return
            after = page[-1].id

    async def _sections(self, conversation_id: str) -> AsyncGenerator[tuple[_Section, list[str]]]:
        """Yield the records of a conversation, section by section: those of a small one in one transaction."""
        waiting, seen = list(_SECTIONS), None
        while waiting:
            read: list[tuple[_Section, list[str]]] = []
            async with self._user.transaction() as history:
                while waiting and (seen is None or not read):
                    section = waiting[0]
                    batch = await section.read(history.exports, conversation_id, seen)
                    read.append((section, batch.texts))
                    seen = batch.seen
                    if seen is None:
                        del waiting[0]
            for section, texts in read:
                if texts:
                    yield section, texts

    async def _unattached(self) -> AsyncGenerator[list[str]]:
        seen: Seen | None = None
        while True:
            async with self._user.transaction() as history:
                batch = await history.exports.attachments(None, seen)
            yield batch.texts
            if batch.seen is None:
                return
            seen = batch.seen


def _opening(opened: int) -> bytes:
    return f'{"]" if opened else ""},"{_SECTIONS[opened].name}":['.encode()


def _record(kind: str, text: str) -> bytes:
    return _line(f'{{"type":"{kind}","data":{text}}}')


def _line(text: str) -> bytes:
    return text.encode() + b"\n"


def _count(counts: ExportCounts, name: str, more: int) -> None:
    setattr(counts, name, getattr(counts, name) + more)
