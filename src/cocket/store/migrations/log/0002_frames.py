"""Quarantined frames of devices know their protocol and sender."""

import sqlalchemy as sa
from alembic import op

revision = "log_0002"
down_revision = "log_0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("quarantine", sa.Column("protocol", sa.Text(), nullable=True))
    op.add_column("quarantine", sa.Column("device_id", sa.Text(), nullable=True))
    op.create_index("quarantine_device", "quarantine", ["device_id", "id"], unique=False)
