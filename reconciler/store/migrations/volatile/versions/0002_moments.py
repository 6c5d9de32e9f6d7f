"""Checks on the columns of moments, which are compared as text."""

from __future__ import annotations

from reconciler.store.migrations.moments import add_moment_checks

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

COLUMNS = {
    "sessions": ("created_at", "expires_at"),
    "nonces": ("expires_at",),
    "throttles": ("window_start",),
    "last_sign_ins": ("at",),
}


def upgrade() -> None:
    add_moment_checks(COLUMNS)
