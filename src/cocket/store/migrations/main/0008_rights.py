"""Grants to partner authorities, and the holder of a movement as a column, by which traders find theirs."""

import sqlalchemy as sa
from alembic import op

revision = "main_0008"
down_revision = "main_0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "grants",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("authority", sa.Text(), nullable=False),
        sa.Column("what", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("parts", sa.JSON(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("from_us", sa.BigInteger(), nullable=False),
        sa.Column("to_us", sa.BigInteger(), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("at_us", sa.BigInteger(), nullable=False),
        sa.Column("revoked_us", sa.BigInteger(), nullable=True),
        sa.Column("revoked_by", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("grants_authority", "grants", ["authority", "id"], unique=False)
    op.add_column("documents", sa.Column("holder", sa.Text(), nullable=True))
    op.create_index("documents_holder", "documents", ["holder"], unique=False)
    documents = sa.table(
        "documents", sa.column("kind", sa.Text), sa.column("doc", sa.JSON), sa.column("holder", sa.Text)
    )
    op.execute(
        documents.update()
        .where(documents.c.kind == "movement")
        .values(holder=documents.c.doc["holder"].as_string())
    )
