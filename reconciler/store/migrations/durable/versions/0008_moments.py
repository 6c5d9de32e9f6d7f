"""Checks on the columns of moments, which are compared as text."""

from __future__ import annotations

from reconciler.store.migrations.moments import add_moment_checks

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

COLUMNS = {
    "store": ("created_at",),
    "customers": ("tombstoned_at",),
    "communities": ("tombstoned_at",),
    "lessons": ("tombstoned_at",),
    "accounts": ("tombstoned_at",),
    "invitations": ("created_at", "expires_at", "used_at"),
    "orgs": ("tombstoned_at",),
    "classes": ("tombstoned_at", "concluded_at"),
    "enrollments": ("tombstoned_at", "concluded_at"),
    "assignments": ("created_at", "tombstoned_at"),
    "runs": ("started_at", "finished_at"),
    "limit_uses": ("at",),
    "certificates": ("at",),
    "snapshots": ("fetched_at",),
    "holds": ("created_at",),
    "syncs": ("next_at", "first_at", "attempted_at", "since", "fresh_at", "changed_at", "whole_at", "stale_since"),
    "held_plans": ("created_at",),
    "notices": ("since", "at"),
    "outbox": ("created_at", "not_before", "sent_at"),
}


def upgrade() -> None:
    add_moment_checks(COLUMNS)
