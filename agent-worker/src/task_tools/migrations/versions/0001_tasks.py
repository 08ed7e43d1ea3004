"""Tasks, the ledger of tool calls, and who may see them."""

import sqlalchemy as sa
from alembic import op

from service_kit.migrations import ensure_role

revision = "0001"
down_revision = None

SCHEMA = "tasks"
USER = "threadkeep_tasks_user"
PROBE = "threadkeep_tasks_probe"
TABLES = ("tasks", "tool_calls")


def upgrade() -> None:
    _create_tasks()
    _create_tool_calls()
    for role in (USER, PROBE):
        ensure_role(op.get_bind(), role)
        op.execute(f"GRANT USAGE ON SCHEMA {SCHEMA} TO {role}")
    _let_users_see_their_own()
    _let_probe_tell_what_is_foreign()


def downgrade() -> None:
    op.execute(f"DROP FUNCTION {SCHEMA}.task_is_foreign(text)")
    for table in reversed(TABLES):
        op.drop_table(table, schema=SCHEMA)


def _time(name: str) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=False, server_default=sa.text("clock_timestamp()"))


def _create_tasks() -> None:
    op.create_table(
        "tasks",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("user_id", sa.String, nullable=False),
        sa.Column("title", sa.String, nullable=False),
        sa.Column("title_key", sa.String, nullable=False),
        sa.Column("description", sa.String),
        sa.Column("completed", sa.Boolean, nullable=False),
        _time("created_at"),
        _time("updated_at"),
        sa.CheckConstraint("user_id <> ''", name="tasks_user_id_check"),
        sa.CheckConstraint("char_length(title) BETWEEN 1 AND 200", name="tasks_title_check"),
        sa.CheckConstraint("char_length(description) <= 2000", name="tasks_description_check"),
        schema=SCHEMA,
    )
    op.create_index("tasks_by_owner", "tasks", ["user_id", "id"], schema=SCHEMA)
    op.create_index("tasks_by_title", "tasks", ["user_id", "title_key"], schema=SCHEMA)


def _create_tool_calls() -> None:
    op.create_table(
        "tool_calls",
        sa.Column("user_id", sa.String, primary_key=True),
        sa.Column("key", sa.String, primary_key=True),
        sa.Column("tool", sa.String, nullable=False),
        sa.Column("arguments_digest", sa.String, nullable=False),
        sa.Column("result", sa.String),
        sa.Column("is_error", sa.Boolean, nullable=False),
        _time("created_at"),
        sa.CheckConstraint("user_id <> ''", name="tool_calls_user_id_check"),
        schema=SCHEMA,
    )


def _let_users_see_their_own() -> None:
    """Rows of the user named by `app.user_id`.

    The policies ask for `current_user` as well: a grant that inherits must not open the tables to the login role.
    """
    own = f"current_user = '{USER}' AND user_id = current_setting('app.user_id', true)"
    for table in TABLES:
        op.execute(f"ALTER TABLE {SCHEMA}.{table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {SCHEMA}.{table} FORCE ROW LEVEL SECURITY")
        op.execute(f"CREATE POLICY owner ON {SCHEMA}.{table} TO {USER} USING ({own}) WITH CHECK ({own})")
    op.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {SCHEMA}.tasks TO {USER}")
    op.execute(f"GRANT SELECT, INSERT, UPDATE ON {SCHEMA}.tool_calls TO {USER}")


def _let_probe_tell_what_is_foreign() -> None:
    """A function that answers yes or no: does this task exist and belong to somebody else?

    It runs as a role of its own, because with FORCE the table's owner sees nothing either.
    """
    op.execute(f"GRANT SELECT (id, user_id) ON {SCHEMA}.tasks TO {PROBE}")
    op.execute(f"CREATE POLICY probe ON {SCHEMA}.tasks FOR SELECT TO {PROBE} USING (current_user = '{PROBE}')")
    function = f"{SCHEMA}.task_is_foreign(text)"
    foreign = "id = $1 AND user_id IS DISTINCT FROM current_setting('app.user_id', true)"
    op.execute(
        f"CREATE FUNCTION {function} RETURNS boolean "
        "LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp "
        f"RETURN EXISTS (SELECT FROM {SCHEMA}.tasks WHERE {foreign})"
    )
    op.execute(f"REVOKE ALL ON FUNCTION {function} FROM PUBLIC")
    op.execute(f"GRANT EXECUTE ON FUNCTION {function} TO {USER}")
    op.execute(f"GRANT CREATE ON SCHEMA {SCHEMA} TO {PROBE}")
    op.execute(f"ALTER FUNCTION {function} OWNER TO {PROBE}")
    op.execute(f"REVOKE CREATE ON SCHEMA {SCHEMA} FROM {PROBE}")
