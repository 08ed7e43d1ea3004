"""Texts that were cut off, and how many runs there may be."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

SCHEMA = "history"
USER = "threadkeep_history_user"
DISPATCH = "threadkeep_history_dispatch"
CHECK = "messages_status_check"
INDEX = "runs_unfinished_by_conversation"
REFUSAL = f"{SCHEMA}.run_refusal(integer, integer)"

UNFINISHED = "status IN ('queued', 'in_progress')"


def upgrade() -> None:
    status = sa.Column("status", sa.String, nullable=False, server_default="completed")
    op.add_column("messages", status, schema=SCHEMA)
    op.create_check_constraint(CHECK, "messages", "status IN ('completed', 'incomplete')", schema=SCHEMA)
    order = ["user_id", "conversation_id", "number"]
    op.create_index(INDEX, "runs", order, schema=SCHEMA, postgresql_where=sa.text(UNFINISHED))
    _let_users_ask_for_room()


def downgrade() -> None:
    op.execute(f"DROP FUNCTION {REFUSAL}")
    op.drop_index(INDEX, "runs", schema=SCHEMA)
    op.drop_constraint(CHECK, "messages", schema=SCHEMA)
    op.drop_column("messages", "status", schema=SCHEMA)


def _let_users_ask_for_room() -> None:
    """A function that says why the current user may not queue another run, or null.

    It counts everybody's queued runs as the dispatcher, who sees them, and no further than the limit. The lock lets one
    new run of a user be counted at a time; being volatile, the function sees what was committed while it waited.
    """
    op.execute(f"GRANT CREATE ON SCHEMA {SCHEMA} TO {DISPATCH}")
    op.execute(
        f"""
        CREATE FUNCTION {SCHEMA}.run_refusal(queue_limit integer, user_limit integer) RETURNS text
        LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
        BEGIN ATOMIC
            SELECT pg_advisory_xact_lock(
                hashtextextended('threadkeep runs of ' || current_setting('app.user_id', true), 0)
            );
            SELECT CASE
                WHEN user_limit <= (
                    SELECT count(*) FROM (
                        SELECT FROM {SCHEMA}.runs
                        WHERE user_id = current_setting('app.user_id', true) AND {UNFINISHED}
                        LIMIT user_limit
                    ) AS own
                ) THEN 'too_many_runs'
                WHEN queue_limit <= (
                    SELECT count(*) FROM (
                        SELECT FROM {SCHEMA}.runs WHERE {UNFINISHED} AND status = 'queued' LIMIT queue_limit
                    ) AS queued
                ) THEN 'run_queue_full'
            END;
        END
        """  # noqa: S608 - names of this file
    )
    op.execute(f"REVOKE ALL ON FUNCTION {REFUSAL} FROM PUBLIC")
    op.execute(f"GRANT EXECUTE ON FUNCTION {REFUSAL} TO {USER}")
    op.execute(f"ALTER FUNCTION {REFUSAL} OWNER TO {DISPATCH}")
    op.execute(f"REVOKE CREATE ON SCHEMA {SCHEMA} FROM {DISPATCH}")
