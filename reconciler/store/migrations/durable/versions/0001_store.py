"""Everything an apply writes and a plan reads."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from reconciler.store.migrations import guards

WHOLE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "account_roles",
        sa.Column("account_id", sa.BigInteger(), nullable=False),
        sa.Column("org_id", sa.BigInteger(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("customer_id", sa.BigInteger(), nullable=False),
        sa.Column("run", sa.BigInteger(), nullable=True),
        sa.UniqueConstraint("account_id", "org_id", "role", name=op.f("uq_account_roles_account_id_org_id_role")),
    )
    op.create_index(op.f("ix_account_roles_customer_id"), "account_roles", ["customer_id"], unique=False)
    op.create_table(
        "accounts",
        sa.Column("id", WHOLE, sa.Identity(always=False), nullable=False),
        sa.Column("customer_id", sa.BigInteger(), nullable=False),
        sa.Column("managed_by", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("given_name", sa.Text(), nullable=True),
        sa.Column("family_name", sa.Text(), nullable=True),
        sa.Column("middle_name", sa.Text(), nullable=True),
        sa.Column("email", sa.Text(), nullable=True),
        sa.Column("username", sa.Text(), nullable=True),
        sa.Column("username_key", sa.Text(), nullable=True),
        sa.Column("roster_username", sa.Text(), nullable=True),
        sa.Column("identifier", sa.Text(), nullable=True),
        sa.Column("grades", sa.Text(), nullable=True),
        sa.Column("role", sa.Text(), nullable=True),
        sa.Column("password_hash", sa.Text(), nullable=True),
        sa.Column("fingerprint", sa.BigInteger(), nullable=True),
        sa.Column("origin_file", sa.Text(), nullable=True),
        sa.Column("origin_line", sa.BigInteger(), nullable=True),
        sa.Column("origin_run", sa.BigInteger(), nullable=True),
        sa.Column("created_run", sa.BigInteger(), nullable=True),
        sa.Column("tombstoned_at", sa.Text(), nullable=True),
        sa.Column("tombstoned_run", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_accounts")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_accounts_customer_id", "accounts", ["customer_id"], unique=False)
    op.create_index(
        "uq_accounts_customer_id_username_key",
        "accounts",
        ["customer_id", "username_key"],
        unique=True,
        sqlite_where=sa.text("tombstoned_at IS NULL"),
        postgresql_where=sa.text("tombstoned_at IS NULL"),
    )
    op.create_table(
        "assignments",
        sa.Column("id", WHOLE, sa.Identity(always=False), nullable=False),
        sa.Column("customer_id", sa.BigInteger(), nullable=False),
        sa.Column("lesson_id", sa.BigInteger(), nullable=False),
        sa.Column("class_id", sa.BigInteger(), nullable=True),
        sa.Column("account_id", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.Text(), nullable=False),
        sa.Column("tombstoned_at", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_assignments")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_assignments_account_id", "assignments", ["account_id"], unique=False)
    op.create_index("ix_assignments_class_id", "assignments", ["class_id"], unique=False)
    op.create_index(op.f("ix_assignments_customer_id"), "assignments", ["customer_id"], unique=False)
    op.create_table(
        "classes",
        sa.Column("id", WHOLE, sa.Identity(always=False), nullable=False),
        sa.Column("customer_id", sa.BigInteger(), nullable=False),
        sa.Column("sourced_id", sa.Text(), nullable=False),
        sa.Column("org_id", sa.BigInteger(), nullable=True),
        sa.Column("title", sa.Text(), nullable=True),
        sa.Column("class_code", sa.Text(), nullable=True),
        sa.Column("class_type", sa.Text(), nullable=True),
        sa.Column("course", sa.Text(), nullable=True),
        sa.Column("terms", sa.Text(), nullable=True),
        sa.Column("grades", sa.Text(), nullable=True),
        sa.Column("fingerprint", sa.BigInteger(), nullable=True),
        sa.Column("origin_file", sa.Text(), nullable=True),
        sa.Column("origin_line", sa.BigInteger(), nullable=True),
        sa.Column("origin_run", sa.BigInteger(), nullable=True),
        sa.Column("created_run", sa.BigInteger(), nullable=True),
        sa.Column("tombstoned_at", sa.Text(), nullable=True),
        sa.Column("tombstoned_run", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_classes")),
        sa.UniqueConstraint("customer_id", "sourced_id", name=op.f("uq_classes_customer_id_sourced_id")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "customers",
        sa.Column("id", WHOLE, sa.Identity(always=False), nullable=False),
        sa.Column("slug", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("settings_digest", sa.Text(), nullable=True),
        sa.Column("span_file", sa.Text(), nullable=True),
        sa.Column("span_line", sa.BigInteger(), nullable=True),
        sa.Column("last_run", sa.BigInteger(), nullable=True),
        sa.Column("created_run", sa.BigInteger(), nullable=True),
        sa.Column("tombstoned_at", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_customers")),
        sa.UniqueConstraint("slug", name=op.f("uq_customers_slug")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "enrollments",
        sa.Column("id", WHOLE, sa.Identity(always=False), nullable=False),
        sa.Column("customer_id", sa.BigInteger(), nullable=False),
        sa.Column("sourced_id", sa.Text(), nullable=False),
        sa.Column("class_id", sa.BigInteger(), nullable=False),
        sa.Column("account_id", sa.BigInteger(), nullable=False),
        sa.Column("role", sa.Text(), nullable=True),
        sa.Column("is_primary", sa.Boolean(), nullable=True),
        sa.Column("begin_date", sa.Text(), nullable=True),
        sa.Column("end_date", sa.Text(), nullable=True),
        sa.Column("fingerprint", sa.BigInteger(), nullable=True),
        sa.Column("origin_file", sa.Text(), nullable=True),
        sa.Column("origin_line", sa.BigInteger(), nullable=True),
        sa.Column("origin_run", sa.BigInteger(), nullable=True),
        sa.Column("created_run", sa.BigInteger(), nullable=True),
        sa.Column("tombstoned_at", sa.Text(), nullable=True),
        sa.Column("tombstoned_run", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_enrollments")),
        sa.UniqueConstraint("customer_id", "sourced_id", name=op.f("uq_enrollments_customer_id_sourced_id")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_enrollments_account_id"), "enrollments", ["account_id"], unique=False)
    op.create_index(op.f("ix_enrollments_class_id"), "enrollments", ["class_id"], unique=False)
    op.create_table(
        "identities",
        sa.Column("id", WHOLE, sa.Identity(always=False), nullable=False),
        sa.Column("issuer_id", sa.BigInteger(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("account_id", sa.BigInteger(), nullable=False),
        sa.Column("customer_id", sa.BigInteger(), nullable=False),
        sa.Column("run", sa.BigInteger(), nullable=True),
        sa.Column("write_number", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_identities")),
        sa.UniqueConstraint("issuer_id", "subject", name=op.f("uq_identities_issuer_id_subject")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_identities_account_id"), "identities", ["account_id"], unique=False)
    op.create_table(
        "invitations",
        sa.Column("token_hash", sa.Text(), nullable=False),
        sa.Column("account_id", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.Text(), nullable=False),
        sa.Column("expires_at", sa.Text(), nullable=False),
        sa.Column("used_at", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("token_hash", name=op.f("pk_invitations")),
    )
    op.create_index(op.f("ix_invitations_account_id"), "invitations", ["account_id"], unique=False)
    op.create_table(
        "issuers",
        sa.Column("id", WHOLE, sa.Identity(always=False), nullable=False),
        sa.Column("customer_id", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_issuers")),
        sa.UniqueConstraint("name", name=op.f("uq_issuers_name")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_issuers_customer_id"), "issuers", ["customer_id"], unique=False)
    op.create_table(
        "journal",
        sa.Column("id", WHOLE, sa.Identity(always=False), nullable=False),
        sa.Column("run_id", sa.BigInteger(), nullable=False),
        sa.Column("customer_id", sa.BigInteger(), nullable=True),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("row_id", sa.BigInteger(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("before", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_journal")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_journal_kind_row_id", "journal", ["kind", "row_id"], unique=False)
    op.create_index(op.f("ix_journal_run_id"), "journal", ["run_id"], unique=False)
    op.create_table(
        "memberships",
        sa.Column("account_id", sa.BigInteger(), nullable=False),
        sa.Column("community_id", sa.BigInteger(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("customer_id", sa.BigInteger(), nullable=False),
        sa.UniqueConstraint(
            "account_id",
            "community_id",
            "role",
            "source",
            name=op.f("uq_memberships_account_id_community_id_role_source"),
        ),
    )
    op.create_index("ix_memberships_community_id", "memberships", ["community_id"], unique=False)
    op.create_index(op.f("ix_memberships_customer_id"), "memberships", ["customer_id"], unique=False)
    op.create_table(
        "org_closure",
        sa.Column("ancestor_id", sa.BigInteger(), nullable=False),
        sa.Column("descendant_id", sa.BigInteger(), nullable=False),
        sa.Column("depth", sa.BigInteger(), nullable=False),
        sa.Column("customer_id", sa.BigInteger(), nullable=False),
        sa.UniqueConstraint("ancestor_id", "descendant_id", name=op.f("uq_org_closure_ancestor_id_descendant_id")),
    )
    op.create_index(op.f("ix_org_closure_customer_id"), "org_closure", ["customer_id"], unique=False)
    op.create_table(
        "orgs",
        sa.Column("id", WHOLE, sa.Identity(always=False), nullable=False),
        sa.Column("customer_id", sa.BigInteger(), nullable=False),
        sa.Column("sourced_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("type", sa.Text(), nullable=True),
        sa.Column("identifier", sa.Text(), nullable=True),
        sa.Column("parent_id", sa.BigInteger(), nullable=True),
        sa.Column("fingerprint", sa.BigInteger(), nullable=True),
        sa.Column("origin_file", sa.Text(), nullable=True),
        sa.Column("origin_line", sa.BigInteger(), nullable=True),
        sa.Column("origin_run", sa.BigInteger(), nullable=True),
        sa.Column("created_run", sa.BigInteger(), nullable=True),
        sa.Column("tombstoned_at", sa.Text(), nullable=True),
        sa.Column("tombstoned_run", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_orgs")),
        sa.UniqueConstraint("customer_id", "sourced_id", name=op.f("uq_orgs_customer_id_sourced_id")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "runs",
        sa.Column("id", WHOLE, sa.Identity(always=False), nullable=False),
        sa.Column("customer_id", sa.BigInteger(), nullable=True),
        sa.Column("customer_slug", sa.Text(), nullable=False),
        sa.Column("plan_id", sa.Text(), nullable=False),
        sa.Column("started_at", sa.Text(), nullable=False),
        sa.Column("finished_at", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("counts", sa.Text(), nullable=False),
        sa.Column("git_commit", sa.Text(), nullable=True),
        sa.Column("approvals", sa.Text(), nullable=False),
        sa.Column("source_sha256", sa.Text(), nullable=True),
        sa.Column("settings_digest", sa.Text(), nullable=True),
        sa.Column("previous_hash", sa.Text(), nullable=True),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_runs")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_runs_customer_id"), "runs", ["customer_id"], unique=False)
    op.create_table(
        "store",
        sa.Column("uuid", sa.Text(), nullable=False),
        sa.Column("environment", sa.Text(), nullable=False),
        sa.Column("key_check", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Text(), nullable=False),
        sa.Column("catalogue_digest", sa.Text(), nullable=True),
        sa.Column("catalogue_run", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("catalogue_writes", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("head_hash", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("uuid", name=op.f("pk_store")),
    )
    op.create_table(
        "communities",
        sa.Column("id", WHOLE, sa.Identity(always=False), nullable=False),
        sa.Column("customer_id", sa.BigInteger(), nullable=False),
        sa.Column("slug", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("origin_file", sa.Text(), nullable=True),
        sa.Column("origin_line", sa.BigInteger(), nullable=True),
        sa.Column("origin_run", sa.BigInteger(), nullable=True),
        sa.Column("created_run", sa.BigInteger(), nullable=True),
        sa.Column("tombstoned_at", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["customer_id"], ["customers.id"], name=op.f("fk_communities_customer_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_communities")),
        sa.UniqueConstraint("customer_id", "slug", name=op.f("uq_communities_customer_id_slug")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "holds",
        sa.Column("customer_id", sa.BigInteger(), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("hold_id", sa.Text(), nullable=False),
        sa.Column("people", sa.BigInteger(), nullable=False),
        sa.Column("rows", sa.BigInteger(), nullable=False),
        sa.Column("causes", sa.Text(), nullable=False),
        sa.Column("plan_id", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["customer_id"], ["customers.id"], name=op.f("fk_holds_customer_id")),
        sa.PrimaryKeyConstraint("customer_id", "scope", name=op.f("pk_holds")),
    )
    op.create_table(
        "lessons",
        sa.Column("id", WHOLE, sa.Identity(always=False), nullable=False),
        sa.Column("customer_id", sa.BigInteger(), nullable=True),
        sa.Column("slug", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("origin_file", sa.Text(), nullable=True),
        sa.Column("origin_line", sa.BigInteger(), nullable=True),
        sa.Column("origin_run", sa.BigInteger(), nullable=True),
        sa.Column("created_run", sa.BigInteger(), nullable=True),
        sa.Column("tombstoned_at", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["customer_id"], ["customers.id"], name=op.f("fk_lessons_customer_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_lessons")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "secrets",
        sa.Column("customer_id", sa.BigInteger(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("reference", sa.Text(), nullable=True),
        sa.Column("hmac", sa.Text(), nullable=False),
        sa.Column("ciphertext", sa.LargeBinary(), nullable=True),
        sa.Column("changed_run", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["customer_id"], ["customers.id"], name=op.f("fk_secrets_customer_id")),
        sa.PrimaryKeyConstraint("customer_id", "path", name=op.f("pk_secrets")),
    )
    op.create_table(
        "snapshots",
        sa.Column("id", WHOLE, sa.Identity(always=False), nullable=False),
        sa.Column("customer_id", sa.BigInteger(), nullable=False),
        sa.Column("run_id", sa.BigInteger(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("fetched_at", sa.Text(), nullable=False),
        sa.Column("complete", sa.Boolean(), nullable=False),
        sa.Column("rows", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["customer_id"], ["customers.id"], name=op.f("fk_snapshots_customer_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_snapshots")),
        sa.UniqueConstraint("customer_id", name=op.f("uq_snapshots_customer_id")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "write_counters",
        sa.Column("customer_id", WHOLE, autoincrement=False, nullable=False),
        sa.Column("n", sa.BigInteger(), server_default="0", nullable=False),
        sa.ForeignKeyConstraint(["customer_id"], ["customers.id"], name=op.f("fk_write_counters_customer_id")),
        sa.PrimaryKeyConstraint("customer_id", name=op.f("pk_write_counters")),
    )
    op.create_table(
        "snapshot_parts",
        sa.Column("snapshot_id", sa.BigInteger(), nullable=False),
        sa.Column("part", sa.Text(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["snapshot_id"], ["snapshots.id"], name=op.f("fk_snapshot_parts_snapshot_id")),
        sa.PrimaryKeyConstraint("snapshot_id", "part", "number", name=op.f("pk_snapshot_parts")),
    )
    op.create_index("uq_lessons_owner_slug", "lessons", [sa.text("coalesce(customer_id, 0)"), "slug"], unique=True)
    for statement in guards.build_trigger_statements(op.get_bind().dialect.name):
        op.get_bind().exec_driver_sql(statement)
