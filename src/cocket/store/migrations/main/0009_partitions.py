"""Detection in partitions: the alerts' numbers run on over all of them, in a row of their own."""

import sqlalchemy as sa
from alembic import op

revision = "main_0009"
down_revision = "main_0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "alert_numbers",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("last", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.execute("INSERT INTO alert_numbers (id, last) SELECT 1, seq FROM detection WHERE id = 1")
    op.drop_column("detection", "seq")
