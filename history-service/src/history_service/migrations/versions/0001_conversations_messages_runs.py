"""Conversations, messages and runs, and who may see them."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSON, JSONB

from service_kit.migrations import ensure_role

revision = "0001"
down_revision = None

SCHEMA = "history"
USER = "threadkeep_history_user"
DISPATCH = "threadkeep_history_dispatch"
PROBE = "threadkeep_history_probe"
TABLES = ("conversations", "messages", "runs")

KINDS = (
    "'user_message', 'assistant_message', 'client_tool_call', 'widget', 'generated_image', 'structured_input', "
    "'task', 'workflow', 'end_of_turn', 'hidden_context_item', 'sdk_hidden_context'"
)


def upgrade() -> None:
    _create_conversations()
    _create_messages()
    _create_runs()
    for role in (USER, DISPATCH, PROBE):
        ensure_role(op.get_bind(), role)
        op.execute(f"GRANT USAGE ON SCHEMA {SCHEMA} TO {role}")
    for table in TABLES:
        op.execute(f"ALTER TABLE {SCHEMA}.{table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {SCHEMA}.{table} FORCE ROW LEVEL SECURITY")
    _let_users_see_their_own()
    _let_dispatch_see_runs()
    _let_probe_tell_what_is_foreign()


def downgrade() -> None:
    for table in reversed(TABLES):
        op.drop_table(table, schema=SCHEMA)
    for table in ("conversation", "run"):
        op.execute(f"DROP FUNCTION {SCHEMA}.{table}_is_foreign(text)")


def _create_conversations() -> None:
    op.create_table(
        "conversations",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("user_id", sa.String, nullable=False),
        sa.Column("title", sa.String),
        sa.Column("status", JSONB, nullable=False),
        sa.Column("metadata", JSONB, nullable=False),
        sa.Column("allowed_image_domains", JSONB),
        sa.Column("last_position", sa.BigInteger, nullable=False, server_default=sa.text("0")),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.UniqueConstraint("user_id", "id", name="conversations_owner"),
        sa.CheckConstraint("user_id <> ''", name="conversations_user_id_check"),
        sa.CheckConstraint("char_length(title) <= 200", name="conversations_title_check"),
        sa.CheckConstraint("jsonb_typeof(status) = 'object'", name="conversations_status_check"),
        sa.CheckConstraint("jsonb_typeof(metadata) = 'object'", name="conversations_metadata_check"),
        schema=SCHEMA,
    )
    op.create_index("conversations_by_update", "conversations", ["user_id", "updated_at", "id"], schema=SCHEMA)


def _create_messages() -> None:
    op.create_table(
        "messages",
        sa.Column("conversation_id", sa.String, primary_key=True),
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("user_id", sa.String, nullable=False),
        sa.Column("position", sa.BigInteger, nullable=False),
        sa.Column("turn", sa.BigInteger, nullable=False),
        sa.Column("role", sa.String, nullable=False),
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("content", sa.String, nullable=False),
        sa.Column("tool_calls", JSONB, nullable=False),
        sa.Column("payload", JSON, nullable=False),
        sa.Column("hidden", sa.Boolean, nullable=False),
        sa.Column("run_id", sa.String),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        _belongs_to_conversation("messages_conversation"),
        sa.UniqueConstraint("conversation_id", "position", name="messages_position"),
        sa.CheckConstraint("position > 0", name="messages_position_check"),
        sa.CheckConstraint("role IN ('user', 'assistant')", name="messages_role_check"),
        sa.CheckConstraint(f"kind IN ({KINDS})", name="messages_kind_check"),
        sa.CheckConstraint("jsonb_typeof(tool_calls) = 'array'", name="messages_tool_calls_check"),
        sa.CheckConstraint("json_typeof(payload) = 'object'", name="messages_payload_check"),
        schema=SCHEMA,
    )
    op.create_index("messages_by_turn", "messages", ["conversation_id", "turn", "position"], schema=SCHEMA)


def _create_runs() -> None:
    op.create_table(
        "runs",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("number", sa.BigInteger, sa.Identity(always=True), nullable=False),
        sa.Column("conversation_id", sa.String, nullable=False),
        sa.Column("user_id", sa.String, nullable=False),
        sa.Column("message_position", sa.BigInteger, nullable=False),
        sa.Column("status", sa.String, nullable=False, server_default="queued"),
        sa.Column("attempt", sa.Integer, nullable=False, server_default="0"),
        sa.Column("worker_id", sa.String),
        sa.Column("lease_expires_at", sa.DateTime(timezone=True)),
        sa.Column("cancel_requested_at", sa.DateTime(timezone=True)),
        sa.Column("error", JSONB),
        sa.Column("usage", JSONB),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.text("clock_timestamp()")
        ),
        sa.Column("started_at", sa.DateTime(timezone=True)),
        sa.Column("finished_at", sa.DateTime(timezone=True)),
        _belongs_to_conversation("runs_conversation"),
        sa.UniqueConstraint("conversation_id", "number", name="runs_order"),
        sa.CheckConstraint(
            "status IN ('queued', 'in_progress', 'completed', 'failed', 'cancelled')", name="runs_status_check"
        ),
        sa.CheckConstraint("attempt >= 0", name="runs_attempt_check"),
        sa.CheckConstraint("(status = 'in_progress') = (lease_expires_at IS NOT NULL)", name="runs_lease_check"),
        sa.CheckConstraint(
            "(status IN ('completed', 'failed', 'cancelled')) = (finished_at IS NOT NULL)", name="runs_finished_check"
        ),
        schema=SCHEMA,
    )
    unfinished, active = sa.text("status IN ('queued', 'in_progress')"), sa.text("status = 'in_progress'")
    op.create_index("runs_unfinished", "runs", ["number"], schema=SCHEMA, postgresql_where=unfinished)
    op.create_index("runs_one_active", "runs", ["conversation_id"], unique=True, schema=SCHEMA, postgresql_where=active)


def _belongs_to_conversation(name: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["user_id", "conversation_id"],
        [f"{SCHEMA}.conversations.user_id", f"{SCHEMA}.conversations.id"],
        name=name,
        ondelete="CASCADE",
    )


def _let_users_see_their_own() -> None:
    """Rows of the user named by `app.user_id`.

    The policies ask for `current_user` as well: a grant that inherits must not open the tables to the login role.
    """
    op.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {SCHEMA}.conversations, {SCHEMA}.messages TO {USER}")
    op.execute(f"GRANT SELECT, INSERT, UPDATE ON {SCHEMA}.runs TO {USER}")
    own = f"current_user = '{USER}' AND user_id = current_setting('app.user_id', true)"
    for table in TABLES:
        op.execute(f"CREATE POLICY owner ON {SCHEMA}.{table} TO {USER} USING ({own}) WITH CHECK ({own})")


def _let_dispatch_see_runs() -> None:
    """Runs of everybody, to claim them and to end abandoned ones; no conversation, no message."""
    changeable = "status, attempt, worker_id, lease_expires_at, error, started_at, finished_at"
    op.execute(f"GRANT SELECT, UPDATE ({changeable}) ON {SCHEMA}.runs TO {DISPATCH}")
    everybody = f"current_user = '{DISPATCH}'"
    op.execute(f"CREATE POLICY dispatch_reads ON {SCHEMA}.runs FOR SELECT TO {DISPATCH} USING ({everybody})")
    op.execute(f"CREATE POLICY dispatch_writes ON {SCHEMA}.runs FOR UPDATE TO {DISPATCH} USING ({everybody})")


def _let_probe_tell_what_is_foreign() -> None:
    """Functions that answer yes or no: does this id exist and belong to somebody else?

    They run as a role of their own, because with FORCE the tables' owner sees nothing either.
    """
    op.execute(f"GRANT CREATE ON SCHEMA {SCHEMA} TO {PROBE}")
    for name, table in (("conversation", "conversations"), ("run", "runs")):
        op.execute(f"GRANT SELECT (id, user_id) ON {SCHEMA}.{table} TO {PROBE}")
        op.execute(f"CREATE POLICY probe ON {SCHEMA}.{table} FOR SELECT TO {PROBE} USING (current_user = '{PROBE}')")
        function = f"{SCHEMA}.{name}_is_foreign(text)"
        op.execute(
            f"""
            CREATE FUNCTION {function} RETURNS boolean
            LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
            RETURN EXISTS (
                SELECT FROM {SCHEMA}.{table}
                WHERE id = $1 AND user_id IS DISTINCT FROM current_setting('app.user_id', true)
            )
            """  # noqa: S608 - names of this file
        )
        op.execute(f"REVOKE ALL ON FUNCTION {function} FROM PUBLIC")
        op.execute(f"GRANT EXECUTE ON FUNCTION {function} TO {USER}")
        op.execute(f"ALTER FUNCTION {function} OWNER TO {PROBE}")
    op.execute(f"REVOKE CREATE ON SCHEMA {SCHEMA} FROM {PROBE}")
