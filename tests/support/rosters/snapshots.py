"""Makes snapshots and live frames of a small district for planning."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import polars as pl

from reconciler.model.kind import ROSTER_KINDS, Kind
from reconciler.model.roster import AccountManager
from reconciler.oneroster.snapshot import QUARANTINE_SCHEMA, Snapshot
from reconciler.planning.decision.desired_people import build_desired_people
from reconciler.planning.decision.inputs import RosterInputs, RosterRules
from reconciler.planning.decision.roster_decision import RosterDecision, decide_roster
from reconciler.planning.frames.live import LiveRoster, build_live_schema
from reconciler.planning.holds.gates import GateFinding
from reconciler.planning.roster.desired import build_desired_roster
from reconciler.planning.roster.enrollments import open_enrollments
from reconciler.planning.roster.persons import combine_person_rows
from reconciler.planning.roster.removals import make_empty_sessions

DISTRICT = "d-1"
#: A store's key for holds.
HOLD_KEY = "5a" * 32

_TEXT = {
    "orgs": "sourced_id status name type identifier parent",
    "users": "sourced_id status username given_name family_name middle_name identifier email grades",
    "roles": "user org role begin_date end_date",
    "classes": "sourced_id status title class_code class_type school course terms grades unreadable",
    "enrollments": "sourced_id status class user role begin_date end_date unreadable",
}
_OTHER: dict[str, dict[str, type[pl.DataType]]] = {
    "users": {"enabled": pl.Boolean},
    "roles": {"primary": pl.Boolean},
    "enrollments": {"primary": pl.Boolean},
}
SCHEMAS: dict[str, dict[str, type[pl.DataType]]] = {
    name: {**dict.fromkeys(columns.split(), pl.String), **_OTHER.get(name, {}), "line": pl.Int64}
    for name, columns in _TEXT.items()
}


def person(number: int, school: str = "s-1", **fields: Any) -> dict[str, Any]:
    return {
        "sourced_id": f"u-{number:03}",
        "username": f"user{number:03}",
        "given_name": "Given",
        "family_name": f"Family{number:03}",
        "identifier": f"{100000 + number}",
        "email": f"user{number:03}@d.example",
        "enabled": True,
        "school": school,
        "role": "student",
        **fields,
    }


def district(
    people: Iterable[Mapping[str, Any]],
    *,
    schools: Iterable[str] = ("s-1", "s-2"),
    classes: Iterable[str] = ("c-1", "c-2"),
    marked: Iterable[str] = (),
    aside: Iterable[tuple[str, str | None]] = (),
    without_enrollments: Iterable[str] = (),
) -> Snapshot:
    """Everybody is in every class. marked: sourcedIds of people with status tobedeleted. aside: (kind, key) of rows
    set aside."""
    people = [dict(each) for each in people]
    classes = list(classes)
    orgs = [{"sourced_id": DISTRICT, "name": "District", "type": "district"}] + [
        {"sourced_id": school, "name": f"School {school}", "type": "school", "parent": DISTRICT} for school in schools
    ]
    users = [{**{k: v for k, v in each.items() if k not in ("school", "role")}} for each in people]
    for each in users:
        each["status"] = "tobedeleted" if each["sourced_id"] in set(marked) else "active"
    roles = [
        {"user": each["sourced_id"], "org": each["school"], "role": each["role"], "primary": True} for each in people
    ]
    sections = [
        {"sourced_id": name, "title": f"Class {name}", "class_type": "scheduled", "school": next(iter(schools))}
        for name in classes
    ]
    enrollments = [
        {
            "sourced_id": f"e-{each['identifier']}-{name}",
            "class": name,
            "user": each["sourced_id"],
            "role": each["role"],
        }
        for each in people
        for name in classes
        if each["sourced_id"] not in set(without_enrollments)
    ]
    rows = {"orgs": orgs, "users": users, "roles": roles, "classes": sections, "enrollments": enrollments}
    frames = {name: _frame(name, rows[name]) for name in SCHEMAS}
    quarantine = pl.DataFrame(
        [
            {"kind": kind, "key": key, "file": f"{kind}s.csv", "line": 2, "column": 0, "code": "bad", "message": "bad"}
            for kind, key in aside
        ],
        schema=QUARANTINE_SCHEMA,
    )
    return Snapshot(
        version="1.1",
        type="zip",
        name="day.zip",
        sha256="0" * 64,
        fetched_at="2026-11-20T02:30:00Z",
        complete=True,
        rows={name: frames[name].height for name in ("orgs", "users", "classes", "enrollments")},
        quarantine=quarantine,
        diagnostics=(),
        **frames,
    )


def _frame(name: str, rows: list[dict[str, Any]]) -> pl.DataFrame:
    complete = [{"status": "active", **row, "line": place} for place, row in enumerate(rows, start=2)]
    schema = SCHEMAS[name]
    return pl.DataFrame([{column: row.get(column) for column in schema} for row in complete], schema=schema)


def shuffled(snapshot: Snapshot, seed: int) -> Snapshot:
    """The same rows, each with its own line, in another order."""
    return replace(
        snapshot, **{name: getattr(snapshot, name).sample(fraction=1.0, shuffle=True, seed=seed) for name in SCHEMAS}
    )


def live_of(snapshot: Snapshot, suffix: str | None = None) -> LiveRoster:
    """What the store would hold after this snapshot was applied to an empty one."""
    merged = combine_person_rows(snapshot, LiveRoster().users, "identifier", DISTRICT).snapshot
    desired = build_desired_roster(merged, DISTRICT, suffix)
    frames: dict[Kind, pl.DataFrame] = {}
    for kind in (Kind.ORG, Kind.USER, Kind.CLASS, Kind.ENROLLMENT):
        frame = desired.frames[kind].with_row_index("id", offset=1).with_columns(pl.col("id").cast(pl.Int64))
        frame = frame.with_columns(
            pl.lit(False).alias("tombstoned"), pl.lit(AccountManager.ROSTER.value).alias("managed_by")
        )
        frames[kind] = frame.select(list(build_live_schema(kind)))
    roles = (
        frames[Kind.USER]
        .select(pl.col("id").alias("account_id"), pl.col("roles").str.split("\n").alias("entry"))
        .explode("entry")
        .select(
            "account_id",
            pl.col("entry").str.extract(r"^(.*)=", 1).alias("org"),
            pl.col("entry").str.extract(r"=([a-z_]+)$", 1).alias("role"),
        )
    )
    return LiveRoster(
        orgs=frames[Kind.ORG],
        users=frames[Kind.USER].drop("roles"),
        classes=frames[Kind.CLASS],
        enrollments=frames[Kind.ENROLLMENT],
        roles=roles,
        enrollments_total=frames[Kind.ENROLLMENT].height,
    )


def decide(
    snapshot: Snapshot,
    live: LiveRoster,
    rules: RosterRules | None = None,
    suffix: str | None = None,
    sessions: pl.DataFrame | None = None,
    findings: Iterable[GateFinding] = (),
    whole: Iterable[Kind] = ROSTER_KINDS,
    waiting: bool = False,
) -> RosterDecision:
    """As an operation does it: settle enrollments by fingerprint, then decide on what is open."""
    rules = rules or RosterRules("identifier")
    wanted = build_desired_people(snapshot, live, rules, DISTRICT, suffix, live.orgs["sourced_id"])
    desired = replace(wanted.desired, diagnostics=(*wanted.diagnostics, *wanted.desired.diagnostics))
    alive = live.enrollments.filter(~pl.col("tombstoned"))
    desired, unsettled = open_enrollments(desired, alive.select("id", "fingerprint"))
    open_rows = live.enrollments.filter(
        pl.col("id").is_in(unsettled.live_ids.implode())
        | pl.col("sourced_id").is_in(unsettled.desired["sourced_id"].implode())
    )
    return decide_roster(
        RosterInputs(
            desired,
            replace(live, enrollments=open_rows),
            unsettled,
            rules,
            sessions=make_empty_sessions() if sessions is None else sessions,
            full_kinds=frozenset(whole),
            has_waiting_hold=waiting,
            findings=tuple(findings),
            merge_plan=wanted.merge_plan,
        )
    )


def actions(decision: RosterDecision, kind: Kind) -> dict[str, list[str]]:
    """action -> keys, held ones marked with a star."""
    frame = decision.changes.get(kind)
    found: dict[str, list[str]] = {}
    if frame is not None:
        for action, key, held in frame.select("action", "key", "held").iter_rows():
            found.setdefault(action, []).append(f"{key}*" if held else key)
    return found
