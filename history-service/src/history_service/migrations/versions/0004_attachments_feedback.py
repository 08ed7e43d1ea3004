"""Attachments, feedback, the blobs to delete, and who deletes what has expired."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSON

from service_kit.migrations import ensure_role

revision = "0004"
down_revision = "0003"

SCHEMA = "history"
USER = "threadkeep_history_user"
PROBE = "threadkeep_history_probe"
RETENTION = "threadkeep_history_retention"
TABLES = ("attachments", "feedback", "blob_deletions")

FOREIGN = f"{SCHEMA}.attachment_is_foreign(text)"
NOTE = f"{SCHEMA}.note_blob_deletions()"
SEARCH_PATH = "SET search_path = pg_catalog, pg_temp"


def upgrade() -> None:
    _create_attachments()
    _create_feedback()
    _create_blob_deletions()
    op.create_index("conversations_idle", "conversations", ["updated_at", "id"], schema=SCHEMA)
    ensure_role(op.get_bind(), RETENTION)
    op.execute(f"GRANT USAGE ON SCHEMA {SCHEMA} TO {RETENTION}")
    for table in TABLES:
        op.execute(f"ALTER TABLE {SCHEMA}.{table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {SCHEMA}.{table} FORCE ROW LEVEL SECURITY")
    _let_users_see_their_own()
    _let_retention_find_what_has_expired()
    _let_probe_tell_what_is_foreign()
    _note_the_blobs_of_deleted_attachments()


def downgrade() -> None:
    for table in TABLES:
        op.drop_table(table, schema=SCHEMA)
    op.execute(f"DROP FUNCTION {FOREIGN}")
    op.execute(f"DROP FUNCTION {NOTE}")
    for table in ("conversations", "runs"):
        op.execute(f"DROP POLICY retention ON {SCHEMA}.{table}")
        op.execute(f"REVOKE ALL ON {SCHEMA}.{table} FROM {RETENTION}")
    op.drop_index("conversations_idle", "conversations", schema=SCHEMA)


def _create_attachments() -> None:
    op.create_table(
        "attachments",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("user_id", sa.String, nullable=False),
        sa.Column("conversation_id", sa.String),
        sa.Column("name", sa.String, nullable=False),
        sa.Column("mime_type", sa.String, nullable=False),
        sa.Column("size_bytes", sa.BigInteger, nullable=False),
        sa.Column("sha256", sa.String),
        sa.Column("status", sa.String, nullable=False, server_default="pending"),
        sa.Column("blob_key", sa.String),
        sa.Column("payload", JSON, nullable=False),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.text("clock_timestamp()")
        ),
        _belongs_to_conversation("attachments_conversation"),
        sa.CheckConstraint("user_id <> ''", name="attachments_user_id_check"),
        sa.CheckConstraint("char_length(name) BETWEEN 1 AND 255", name="attachments_name_check"),
        sa.CheckConstraint("char_length(mime_type) BETWEEN 1 AND 127", name="attachments_mime_type_check"),
        sa.CheckConstraint("size_bytes >= 0", name="attachments_size_check"),
        sa.CheckConstraint("sha256 ~ '^[0-9a-f]{64}$'", name="attachments_sha256_check"),
        sa.CheckConstraint("status IN ('pending', 'stored')", name="attachments_status_check"),
        sa.CheckConstraint(
            "(status = 'stored') = (sha256 IS NOT NULL) AND (status = 'stored') = (blob_key IS NOT NULL)",
            name="attachments_stored_check",
        ),
        sa.CheckConstraint(_is_owners("blob_key"), name="attachments_blob_key_check"),
        sa.CheckConstraint("json_typeof(payload) = 'object'", name="attachments_payload_check"),
        schema=SCHEMA,
    )
    places = ["user_id", "conversation_id", "created_at", "id"]
    op.create_index("attachments_by_conversation", "attachments", places, schema=SCHEMA)
    unattached = sa.text("conversation_id IS NULL")
    op.create_index(
        "attachments_unattached", "attachments", ["created_at", "id"], schema=SCHEMA, postgresql_where=unattached
    )


def _create_feedback() -> None:
    op.create_table(
        "feedback",
        sa.Column("conversation_id", sa.String, primary_key=True),
        sa.Column("item_id", sa.String, primary_key=True),
        sa.Column("user_id", sa.String, nullable=False),
        sa.Column("kind", sa.String, nullable=False),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.text("clock_timestamp()")
        ),
        _belongs_to_conversation("feedback_conversation"),
        sa.ForeignKeyConstraint(
            ["conversation_id", "item_id"],
            [f"{SCHEMA}.messages.conversation_id", f"{SCHEMA}.messages.id"],
            name="feedback_item",
            ondelete="CASCADE",
        ),
        sa.CheckConstraint("kind IN ('positive', 'negative')", name="feedback_kind_check"),
        schema=SCHEMA,
    )


def _create_blob_deletions() -> None:
    op.create_table(
        "blob_deletions",
        sa.Column("key", sa.String, primary_key=True),
        sa.Column("user_id", sa.String, nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.text("clock_timestamp()")),
        sa.CheckConstraint(_is_owners("key"), name="blob_deletions_key_check"),
        schema=SCHEMA,
    )
    op.create_index("blob_deletions_due", "blob_deletions", ["due_at"], schema=SCHEMA)
    op.create_index("blob_deletions_by_user", "blob_deletions", ["user_id"], schema=SCHEMA)


def _is_owners(key: str) -> str:
    """A blob's key begins with its owner's digest: nobody can claim, or have deleted, another's bytes."""
    return f"starts_with({key}, encode(sha256(convert_to(user_id, 'UTF8')), 'hex') || '/')"


def _belongs_to_conversation(name: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["user_id", "conversation_id"],
        [f"{SCHEMA}.conversations.user_id", f"{SCHEMA}.conversations.id"],
        name=name,
        ondelete="CASCADE",
    )


def _let_users_see_their_own() -> None:
    """See 0001. A user's transaction notes the blob that it is about to write, and takes the note back."""
    op.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {SCHEMA}.attachments, {SCHEMA}.feedback TO {USER}")
    op.execute(f"GRANT SELECT, INSERT, DELETE ON {SCHEMA}.blob_deletions TO {USER}")
    own = f"current_user = '{USER}' AND user_id = current_setting('app.user_id', true)"
    for table in TABLES:
        op.execute(f"CREATE POLICY owner ON {SCHEMA}.{table} TO {USER} USING ({own}) WITH CHECK ({own})")


def _let_retention_find_what_has_expired() -> None:
    """Ids, owners and times of everybody: it finds, and then deletes as the owner, as which it sees nobody else's."""
    readable = {
        "conversations": "id, user_id, updated_at",
        "runs": "conversation_id, status",
        "attachments": "id, user_id, conversation_id, created_at",
    }
    retention = f"current_user = '{RETENTION}'"
    for table, columns in readable.items():
        op.execute(f"GRANT SELECT ({columns}) ON {SCHEMA}.{table} TO {RETENTION}")
        op.execute(f"CREATE POLICY retention ON {SCHEMA}.{table} FOR SELECT TO {RETENTION} USING ({retention})")
    op.execute(f"GRANT SELECT, INSERT, UPDATE (due_at), DELETE ON {SCHEMA}.blob_deletions TO {RETENTION}")
    op.execute(f"CREATE POLICY retention ON {SCHEMA}.blob_deletions TO {RETENTION} USING ({retention})")


def _let_probe_tell_what_is_foreign() -> None:
    op.execute(f"GRANT CREATE ON SCHEMA {SCHEMA} TO {PROBE}")
    op.execute(f"GRANT SELECT (id, user_id) ON {SCHEMA}.attachments TO {PROBE}")
    op.execute(f"CREATE POLICY probe ON {SCHEMA}.attachments FOR SELECT TO {PROBE} USING (current_user = '{PROBE}')")
    op.execute(
        f"""
        CREATE FUNCTION {FOREIGN} RETURNS boolean
        LANGUAGE sql STABLE SECURITY DEFINER {SEARCH_PATH}
        RETURN EXISTS (
            SELECT FROM {SCHEMA}.attachments
            WHERE id = $1 AND user_id IS DISTINCT FROM current_setting('app.user_id', true)
        )
        """  # noqa: S608 - names of this file
    )
    op.execute(f"REVOKE ALL ON FUNCTION {FOREIGN} FROM PUBLIC")
    op.execute(f"GRANT EXECUTE ON FUNCTION {FOREIGN} TO {USER}")
    op.execute(f"ALTER FUNCTION {FOREIGN} OWNER TO {PROBE}")
    op.execute(f"REVOKE CREATE ON SCHEMA {SCHEMA} FROM {PROBE}")


def _note_the_blobs_of_deleted_attachments() -> None:
    """However a row goes, by cascade too: its blob is noted in the same transaction.

    The function runs as a role of its own, because a cascade runs as the tables' owner, who may insert nothing here.
    """
    op.execute(f"GRANT CREATE ON SCHEMA {SCHEMA} TO {RETENTION}")
    op.execute(
        f"""
        CREATE FUNCTION {NOTE} RETURNS trigger
        LANGUAGE plpgsql SECURITY DEFINER {SEARCH_PATH}
        AS $$ BEGIN
            INSERT INTO {SCHEMA}.blob_deletions (key, user_id)
            SELECT blob_key, user_id FROM gone WHERE blob_key IS NOT NULL
            ON CONFLICT DO NOTHING;
            RETURN NULL;
        END $$
        """  # noqa: S608 - names of this file
    )
    op.execute(
        f"CREATE TRIGGER note_blob_deletions AFTER DELETE ON {SCHEMA}.attachments "
        f"REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION {NOTE}"
    )
    op.execute(f"REVOKE ALL ON FUNCTION {NOTE} FROM PUBLIC")
    op.execute(f"ALTER FUNCTION {NOTE} OWNER TO {RETENTION}")
    op.execute(f"REVOKE CREATE ON SCHEMA {SCHEMA} FROM {RETENTION}")
