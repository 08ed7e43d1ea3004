"""Results of tool calls are deleted when no run can ask for them again."""

from alembic import op

from service_kit.migrations import ensure_role

revision = "0002"
down_revision = "0001"

SCHEMA = "tasks"
RETENTION = "threadkeep_tasks_retention"
INDEX = "tool_calls_by_age"


def upgrade() -> None:
    op.create_index(INDEX, "tool_calls", ["created_at"], schema=SCHEMA)
    ensure_role(op.get_bind(), RETENTION)
    op.execute(f"GRANT USAGE ON SCHEMA {SCHEMA} TO {RETENTION}")
    op.execute(f"GRANT SELECT (user_id, key, created_at), DELETE ON {SCHEMA}.tool_calls TO {RETENTION}")
    everybody = f"current_user = '{RETENTION}'"
    for command in ("SELECT", "DELETE"):
        name = f"retention_{command.lower()}s"
        op.execute(f"CREATE POLICY {name} ON {SCHEMA}.tool_calls FOR {command} TO {RETENTION} USING ({everybody})")


def downgrade() -> None:
    for command in ("select", "delete"):
        op.execute(f"DROP POLICY retention_{command}s ON {SCHEMA}.tool_calls")
    op.execute(f"REVOKE ALL ON {SCHEMA}.tool_calls FROM {RETENTION}")
    op.drop_index(INDEX, "tool_calls", schema=SCHEMA)
