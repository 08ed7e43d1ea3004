"""What a user has, within one transaction that acts as that user."""

from types import TracebackType

from history_service.storage.answers import AnswerStore
from history_service.storage.attachments import AttachmentStore
from history_service.storage.conversations import ConversationStore
from history_service.storage.deletions import DeletionStore
from history_service.storage.exports import ExportStore
from history_service.storage.feedback import FeedbackStore
from history_service.storage.messages import MessageStore
from history_service.storage.openai_items import OpenAIItemStore
from history_service.storage.roles import USER_ROLE
from history_service.storage.runs import RunStore
from history_service.storage.search import SearchStore
from service_kit.database import Database, Transaction, TransactionContext


class UserTransaction:
    """The user's rows, subject by subject."""

    def __init__(self, transaction: Transaction, user_id: str) -> None:
        self.transaction = transaction
        self.user_id = user_id

    @property
    def conversations(self) -> ConversationStore:
        """The user's conversations."""
        return ConversationStore(self.transaction, self.user_id)

    @property
    def messages(self) -> MessageStore:
        """The items of the user's conversations."""
        return MessageStore(self.transaction, self.user_id)

    @property
    def openai_items(self) -> OpenAIItemStore:
        """The same items as OpenAI's items need them."""
        return OpenAIItemStore(self.transaction, self.user_id)

    @property
    def runs(self) -> RunStore:
        """The user's runs."""
        return RunStore(self.transaction, self.user_id)

    @property
    def search(self) -> SearchStore:
        """The user's titles and messages, by what they say."""
        return SearchStore(self.transaction, self.user_id)

    @property
    def attachments(self) -> AttachmentStore:
        """The user's attachments."""
        return AttachmentStore(self.transaction, self.user_id)

    @property
    def feedback(self) -> FeedbackStore:
        """What the user thinks of items."""
        return FeedbackStore(self.transaction, self.user_id)

    @property
    def answers(self) -> AnswerStore:
        """Answers kept for repeated creates."""
        return AnswerStore(self.transaction, self.user_id)

    @property
    def exports(self) -> ExportStore:
        """All of it, in batches."""
        return ExportStore(self.transaction, self.user_id)

    @property
    def deletions(self) -> DeletionStore:
        """All of it, to delete in batches."""
        return DeletionStore(self.transaction, self.user_id)


class UserAccess:
    """A verified user's way to the database. Holds nothing open."""

    def __init__(self, database: Database, user_id: str) -> None:
        self.user_id = user_id
        self._database = database

    def transaction(self) -> "UserTransactionContext":
        """Return a context that opens a transaction as the user; it commits at the end, or rolls back on an error."""
        return UserTransactionContext(self._database.transaction(USER_ROLE, self.user_id), self.user_id)


class UserTransactionContext:
    """Opens and ends one transaction of a user's."""

    __slots__ = ("_context", "_user_id")

    def __init__(self, context: TransactionContext, user_id: str) -> None:
        self._context = context
        self._user_id = user_id

    async def __aenter__(self) -> UserTransaction:
        return UserTransaction(await self._context.__aenter__(), self._user_id)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._context.__aexit__(kind, error, trace)
