"""What retention has made anonymous."""

import sqlalchemy as sa
from alembic import op

revision = "main_0011"
down_revision = "main_0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "retention_done",
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("at_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("kind", "id"),
    )
