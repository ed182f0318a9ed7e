"""The trace of which an alert came."""

import sqlalchemy as sa
from alembic import op

revision = "main_0007"
down_revision = "main_0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "alert_traces",
        sa.Column("alert_id", sa.Text(), nullable=False),
        sa.Column("trace_id", sa.Text(), nullable=False),
        sa.Column("at_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("alert_id"),
    )
    op.create_index("alert_traces_at", "alert_traces", ["at_us"])
