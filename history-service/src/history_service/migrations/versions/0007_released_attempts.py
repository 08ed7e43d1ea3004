"""Attempts that a worker gave back do not count against a run."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

SCHEMA = "history"
DISPATCH = "threadkeep_history_dispatch"


def upgrade() -> None:
    op.add_column("runs", sa.Column("releases", sa.Integer, nullable=False, server_default="0"), schema=SCHEMA)
    op.execute(f"GRANT UPDATE (releases) ON {SCHEMA}.runs TO {DISPATCH}")


def downgrade() -> None:
    op.drop_column("runs", "releases", schema=SCHEMA)
