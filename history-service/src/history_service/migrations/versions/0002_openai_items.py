"""The exact items that came through the OpenAI-compatible API."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSON

revision = "0002"
down_revision = "0001"

SCHEMA = "history"
CHECK = "messages_openai_item_check"


def upgrade() -> None:
    op.add_column("messages", sa.Column("openai_item", JSON), schema=SCHEMA)
    op.create_check_constraint(CHECK, "messages", "json_typeof(openai_item) = 'object'", schema=SCHEMA)


def downgrade() -> None:
    op.drop_constraint(CHECK, "messages", schema=SCHEMA)
    op.drop_column("messages", "openai_item", schema=SCHEMA)
