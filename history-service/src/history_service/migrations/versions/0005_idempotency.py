"""Answers kept for repeated creates."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

SCHEMA = "history"
USER = "threadkeep_history_user"
RETENTION = "threadkeep_history_retention"


def upgrade() -> None:
    op.create_table(
        "answers",
        sa.Column("user_id", sa.String, primary_key=True),
        sa.Column("key", sa.String, primary_key=True),
        sa.Column("request_digest", sa.String, nullable=False),
        sa.Column("answer", sa.String),
        sa.Column("conversation_id", sa.String),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.text("clock_timestamp()")
        ),
        sa.ForeignKeyConstraint(
            ["user_id", "conversation_id"],
            [f"{SCHEMA}.conversations.user_id", f"{SCHEMA}.conversations.id"],
            name="answers_conversation",
            ondelete="CASCADE",
        ),
        sa.CheckConstraint("user_id <> ''", name="answers_user_id_check"),
        schema=SCHEMA,
    )
    op.create_index("answers_by_age", "answers", ["created_at"], schema=SCHEMA)
    op.create_index("answers_by_conversation", "answers", ["user_id", "conversation_id"], schema=SCHEMA)
    op.execute(f"ALTER TABLE {SCHEMA}.answers ENABLE ROW LEVEL SECURITY")
    op.execute(f"ALTER TABLE {SCHEMA}.answers FORCE ROW LEVEL SECURITY")
    op.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {SCHEMA}.answers TO {USER}")
    own = f"current_user = '{USER}' AND user_id = current_setting('app.user_id', true)"
    op.execute(f"CREATE POLICY owner ON {SCHEMA}.answers TO {USER} USING ({own}) WITH CHECK ({own})")
    # Finds and deletes what is old; what the answers say it cannot read.
    op.execute(f"GRANT SELECT (user_id, key, created_at), DELETE ON {SCHEMA}.answers TO {RETENTION}")
    op.execute(f"CREATE POLICY retention ON {SCHEMA}.answers TO {RETENTION} USING (current_user = '{RETENTION}')")


def downgrade() -> None:
    op.drop_table("answers", schema=SCHEMA)
