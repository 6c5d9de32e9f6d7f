"""Builds small customer plans for a store to apply."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import polars as pl

from reconciler.model.change import Change, Create
from reconciler.model.kind import Kind
from reconciler.model.plan import CustomerPlan, Freshness, Hold, Outcome, PlanPrecondition, SourceSummary
from reconciler.model.reason import Reason
from reconciler.model.settings import compute_settings_digest
from reconciler.planning.frames.change_frame import build_change_schema
from reconciler.planning.frames.fingerprint import compute_fingerprint
from reconciler.store.open import Store
from reconciler.store.read.reader import Reader
from reconciler.store.read.roster_frames import (
    read_classes,
    read_enrollment_index,
    read_enrollments_by_id,
    read_orgs,
    read_roles,
    read_users,
)
from reconciler.store.write.apply import ApplyJob, ApplyResult, apply_customer

SLUG = "springfield"
ANN = {
    "given_name": "Ann",
    "family_name": "Lee",
    "email": "ann@springfield.example",
    "username": "ann",
    "role": "admin",
}
CUSTOMER: dict[str, Any] = {"kind": "customer", "id": SLUG, "name": "Springfield", "administrators": {"ann": ANN}}
HIGH: dict[str, Any] = {"kind": "community", "id": "high", "name": "High", "members": {}}
LEAVES: dict[str, Any] = {"kind": "lesson", "id": "leaves", "title": "Leaves", "url": "https://lessons.example/leaves"}
SOURCE = SourceSummary("zip", "day-1.zip", Freshness.FRESH, True, "ab" * 32, "2026-11-22T03:00:00Z", {"users": 2})
#: When it was fetched.
MORNING = datetime.fromisoformat(SOURCE.fetched_at)

Row = Mapping[str, Any]


def settings(*documents: Mapping[str, Any]) -> dict[str, Any]:
    """As operations fill them in, from documents of any declared kind."""
    kept: dict[str, Any] = {"communities": {}, "lessons": {}, "origins": {}}
    for document in documents:
        kind = Kind(document["kind"])
        if kind is Kind.CUSTOMER:
            kept["customer"] = document
        else:
            kept[kind.plural][document["id"]] = document
        kept["origins"][f"{kind}/{document['id']}"] = [f"customers/{document['id']}.yaml", 1]
    kept["digest"] = compute_settings_digest({(Kind(each["kind"]), str(each["id"])): each for each in documents})
    return kept


def change(kind: Kind, key: str, made: type[Change] = Create, **facts: Any) -> Change:  # type: ignore[valid-type]
    return made(kind=kind, key=key, label=key, reason=Reason.NEW, **facts)  # type: ignore[no-any-return, operator]


def frame(kind: Kind, *rows: Row) -> pl.DataFrame:
    """A change frame: `action` and `key` are given, the rest has sensible values; the fingerprint fits the fields."""
    schema = build_change_schema(kind)
    given = [
        {"reason": "new", "label": row["key"], "file": f"{kind.plural}.csv", "line": 2, "held": False, **row}
        for row in rows
    ]
    made = pl.DataFrame([{name: row.get(name) for name in schema} for row in given], schema=schema)
    hashed = made.with_columns(pl.col("key").alias("sourced_id")).select(compute_fingerprint(kind))["fingerprint"]
    deleted = pl.col("action") == "delete"
    return made.with_columns(pl.when(deleted).then(pl.lit(0, dtype=pl.Int64)).otherwise(hashed).alias("fingerprint"))


def org(key: str, **fields: Any) -> Row:
    return {"action": "create", "key": key, "name": key, "type": "school", **fields}


def user(key: str, **fields: Any) -> Row:
    return {
        "action": "create",
        "key": key,
        "username": f"{key}@springfield",
        "roster_username": key,
        "given_name": "Given",
        "family_name": key,
        "role": "student",
        "roles": "s-1=student",
        "status": "active",
        "bound": True,
        **fields,
    }


def class_(key: str, **fields: Any) -> Row:
    return {"action": "create", "key": key, "title": key, "school": "s-1", **fields}


def enrollment(key: str, class_key: str, user_key: str, **fields: Any) -> Row:
    return {"action": "create", "key": key, "class": class_key, "user": user_key, "role": "student", **fields}


def roster(**rows: Sequence[Row]) -> dict[Kind, pl.DataFrame]:
    """By plural: orgs, users, classes, enrollments."""
    kinds = {kind.plural: kind for kind in Kind}
    return {kinds[name]: frame(kinds[name], *found) for name, found in rows.items()}


def first_roster() -> dict[Kind, pl.DataFrame]:
    """A district, a school, two pupils, one class with both."""
    return roster(
        orgs=[org("d", type="district"), org("s-1", parent="d")],
        users=[user("u-1"), user("u-2", roles="d=student\ns-1=student")],
        classes=[class_("c-1")],
        enrollments=[enrollment("e-1", "c-1", "u-1", primary=True), enrollment("e-2", "c-1", "u-2")],
    )


def seen_now(store: Store, slug: str = SLUG) -> PlanPrecondition:
    with store.open_reader() as reader:
        record = reader.read_customers().get(slug)
    return (
        PlanPrecondition(record.version, record.settings_digest, record.settings_digest)
        if record
        else PlanPrecondition(None, None, None)
    )


def plan(store: Store, slug: str = SLUG, **facts: Any) -> CustomerPlan:
    """Made from the store as it is now, unless `seen` says otherwise."""
    given = {"precondition": seen_now(store, slug), "outcome": Outcome.CHANGES, "name": slug, **facts}
    return CustomerPlan(id=slug, **given)


def apply(store: Store, planned: CustomerPlan, **facts: Any) -> ApplyResult:
    given = {"plan_id": "sha256:1", "actor": "ann@ci", "approved": False, **facts}
    return apply_customer(store, ApplyJob(planned, **given))


def load(store: Store, rows: Mapping[Kind, pl.DataFrame] | None = None, slug: str = SLUG) -> ApplyResult:
    """A customer with a community, a lesson, an administrator and a roster."""
    document = {**CUSTOMER, "id": slug, "name": slug.title()}
    return apply(
        store,
        plan(
            store,
            slug,
            document_changes=(
                change(Kind.CUSTOMER, slug),
                change(Kind.COMMUNITY, "high"),
                change(Kind.LESSON, "leaves"),
            ),
            settings=settings(document, HIGH, LEAVES),
            roster=first_roster() if rows is None else rows,
            source=SOURCE,
        ),
    )


def live(reader: Reader, kind: Kind, slug: str = SLUG) -> pl.DataFrame:
    customer = reader.read_customers()[slug].id
    if kind is Kind.ENROLLMENT:
        return read_enrollments_by_id(
            reader.connection, customer, read_enrollment_index(reader.connection, customer)["id"]
        )
    read = {Kind.ORG: read_orgs, Kind.USER: read_users, Kind.CLASS: read_classes}[kind]
    return read(reader.connection, customer)


def row(store: Store, kind: Kind, key: str, slug: str = SLUG) -> dict[str, Any]:
    """The live row of a sourcedId, with its roles if it is a person; by `id` and the names of the fields."""
    with store.open_reader() as reader:
        found = live(reader, kind, slug).row(by_predicate=pl.col("sourced_id") == key, named=True)
        if kind is Kind.USER:
            roles = read_roles(reader.connection, reader.read_customers()[slug].id).filter(
                pl.col("account_id") == found["id"]
            )
            found["roles"] = "\n".join(sorted(f"{org}={role}" for _, org, role in roles.iter_rows())) or None
    return dict(found)


def to(store: Store, kind: Kind, key: str, action: str, slug: str = SLUG, **fields: Any) -> Row:
    """A change of a live row: what it was comes from the store, what it is to be from `fields`."""
    found = row(store, kind, key, slug)
    names = [name.removeprefix("before_") for name in build_change_schema(kind) if name.startswith("before_")]
    return {
        **{name: found[name] for name in names},
        **{f"before_{name}": found[name] for name in names},
        "action": action,
        "key": key,
        "live_id": found["id"],
        "seen": found["fingerprint"],
        "manager": found.get("managed_by"),
        "limits": kind.plural if action in ("delete", "suspend") and kind is not Kind.ORG else None,
        **fields,
    }


HOLD = Hold("springfield:1:abcdef", 1, 1, ("Everybody would go.",))
