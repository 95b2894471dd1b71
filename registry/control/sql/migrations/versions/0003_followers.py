"""Followers of the ledger: how far each is, and what its receiver did not take."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
KEY = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Two operational tables."""
    op.create_table(
        "followers",
        sa.Column("name", KEY, primary_key=True),
        sa.Column("cursor", sa.BigInteger(), nullable=False),
        sa.Column("stopped", sa.Boolean(), nullable=False),
        sa.Column("delivered", sa.BigInteger(), nullable=False),
        sa.Column("delivered_at", sa.BigInteger()),
        sa.Column("failures", sa.BigInteger(), nullable=False),
        sa.Column("failing", sa.BigInteger()),
        sa.Column("failing_since", sa.BigInteger()),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("streak", sa.Integer(), nullable=False),
        sa.Column("next_attempt_at", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.Text()),
    )
    op.create_table(
        "dead_letters",
        sa.Column("follower", KEY, primary_key=True),
        sa.Column("seq", ID, primary_key=True, autoincrement=False),
        sa.Column("died_at", sa.BigInteger(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("queued", sa.Boolean(), nullable=False),
    )
    op.create_index("dead_letters_queued", "dead_letters", ["follower", "queued", "seq"])
