"""Builds sample plans for the tests of reports."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import polars as pl

from reconciler.model.change import Action, Change, Create, Delete, FieldChange, Update
from reconciler.model.diagnostic import Span, build_error, build_warning
from reconciler.model.kind import Kind
from reconciler.model.plan import (
    ActionCounts,
    CustomerPlan,
    Freshness,
    Hold,
    LimitUse,
    Outcome,
    Plan,
    PlanPrecondition,
    SourceSummary,
    StoreIdentity,
)
from reconciler.model.reason import Reason
from reconciler.model.roster import list_field_names
from reconciler.planning.frames.change_frame import CSV_FILES, build_change_schema, build_impact_schema

SEEN = PlanPrecondition(version=(3, 0), settings="sha256:a", declared="sha256:a")


def mask(kind: Kind, customer: str, key: str) -> str:
    """A pseudonym as the store makes them."""
    return f"P-{hashlib.sha256(f'{kind} {customer} {key}'.encode()).hexdigest()[:8].upper()}"


def frame(kind: Kind, rows: Iterable[Mapping[str, Any]]) -> pl.DataFrame:
    """A change frame with every column that planning gives it."""
    schema = {**build_change_schema(kind), **build_impact_schema(kind)}
    whole = [{**dict.fromkeys(schema), "file": CSV_FILES[kind], "held": False, **row} for row in rows]
    return pl.DataFrame(whole, schema=schema)


def person(key: str, given: str, family: str, **other: Any) -> dict[str, Any]:
    username = f"{given}.{family}".lower().replace(" ", "")
    return {
        "key": key,
        "label": f"{given} {family}",
        "username": f"{username}@springfield",
        "roster_username": username,
        "given_name": given,
        "family_name": family,
        "email": f"{username}@springfield.example",
        "identifier": f"1{key.partition('-')[2]}",
        "role": "student",
        "roles": "s-7=student",
        "status": "active",
        **other,
    }


def with_before(kind: Kind, row: dict[str, Any], **before: Any) -> dict[str, Any]:
    """The row of a thing that was there already: the same as it is to be, but for `before`."""
    known = {f"before_{name}": row.get(name) for name in list_field_names(kind)}
    return {**row, **known, **{f"before_{name}": value for name, value in before.items()}}


def change(action: Action, reason: Reason, line: int, row: Mapping[str, Any], **other: Any) -> dict[str, Any]:
    return {"action": action.value, "reason": reason.value, "line": line, **row, **other}


def gone(kind: Kind, row: dict[str, Any], line: int = 0, **other: Any) -> dict[str, Any]:
    reason = Reason.ROSTER_TOBEDELETED if line else Reason.ROSTER_ROW_MISSING
    facts: dict[str, Any] = {"reason": reason.value, **other}
    return {**change(Action.DELETE, reason, line, with_before(kind, row)), **facts}


def enrollment(key: str, user: str, class_: str, **other: Any) -> dict[str, Any]:
    return {"key": key, "label": f"{user} in {class_}", "user": user, "class": class_, "role": "student", **other}


def counted(
    roster: Mapping[Kind, pl.DataFrame], declared: Sequence[Change] = (), unchanged: int = 0, quarantined: int = 0
) -> dict[Kind, ActionCounts]:
    """Counts as planning makes them; `unchanged` and `quarantined` are of people."""
    counts = {}
    for kind in Kind:
        actions: dict[Action, int] = {}
        held = 0
        if kind in roster:
            for action, is_held in roster[kind].select("action", "held").iter_rows():
                actions[Action(action)] = actions.get(Action(action), 0) + 1
                held += is_held
        for each in declared:
            if each.kind is kind:
                action = Action(type(each).__name__.lower())
                actions[action] = actions.get(action, 0) + 1
                held += each.held
        users = kind is Kind.USER
        counts[kind] = ActionCounts(actions, unchanged if users else 0, quarantined if users else 0, held)
    return counts


def source(name: str = "day-2.zip", **other: Any) -> SourceSummary:
    facts: dict[str, Any] = {
        "type": "zip",
        "name": name,
        "freshness": Freshness.FRESH,
        "complete": True,
        "sha256": "5" * 64,
        "fetched_at": "2026-11-22T02:30:00Z",
        "rows": {"users": 4298, "orgs": 4, "classes": 402, "enrollments": 9120},
        **other,
    }
    return SourceSummary(**facts)


def plan(*customers: CustomerPlan) -> Plan:
    return Plan(
        plan_id=f"sha256:{'0123456789abcdef' * 4}",
        created_at="2026-11-22T03:00:00Z",
        tool_version="0.1.0",
        store=StoreIdentity("0f8fad5b-d9cb-469f-a165-70867728950e", "production"),
        customers=customers,
    )


def customer(id: str = "springfield", **other: Any) -> CustomerPlan:
    facts: dict[str, Any] = {
        "id": id,
        "name": "Springfield Unified School District",
        "outcome": Outcome.CHANGES,
        "precondition": SEEN,
        **other,
    }
    return CustomerPlan(**facts)


def nothing(id: str = "springfield") -> CustomerPlan:
    return customer(id, outcome=Outcome.UNCHANGED, source=source(), counts=counted({}, unchanged=4298))


def first_load() -> CustomerPlan:
    names = ("Maggie Simpson", "Lisa Simpson", "Milhouse Van Houten", "Ralph Wiggum")
    users = [
        change(Action.CREATE, Reason.NEW, line, person(f"u-{5000 + line}", *name.split(" ", 1)))
        for line, name in enumerate(names, 2)
    ]
    teacher = person("u-2210", "Edna", "Krabappel", role="teacher", roles="s-7=teacher")
    users.append(change(Action.CREATE, Reason.NEW, 6, teacher))
    roster = {
        Kind.ORG: frame(
            Kind.ORG,
            [
                change(
                    Action.CREATE,
                    Reason.NEW,
                    2,
                    {"key": "s-7", "label": "Lincoln Elementary", "name": "Lincoln Elementary", "type": "school"},
                )
            ],
        ),
        Kind.USER: frame(Kind.USER, users),
        Kind.CLASS: frame(
            Kind.CLASS,
            [
                change(
                    Action.CREATE,
                    Reason.NEW,
                    2,
                    {"key": "c-88", "label": "Algebra 2B", "title": "Algebra 2B", "school": "s-7"},
                )
            ],
        ),
        Kind.ENROLLMENT: frame(
            Kind.ENROLLMENT,
            [
                change(Action.CREATE, Reason.NEW, line, enrollment(f"e-{line}", f"u-{5000 + line}", "c-88"))
                for line in range(2, 6)
            ],
        ),
    }
    declared: tuple[Change, ...] = (
        Create(
            kind=Kind.CUSTOMER,
            key="springfield",
            label="Springfield Unified School District",
            reason=Reason.NEW,
            origin=Span("customers/springfield/customer.yaml", 1, 1),
        ),
        Create(
            kind=Kind.COMMUNITY,
            key="springfield-high",
            label="Springfield High",
            reason=Reason.NEW,
            origin=Span("customers/springfield/communities/springfield-high.yaml", 1, 1),
        ),
    )
    return customer(
        source=source("day-1.zip", rows={"users": 5, "orgs": 1, "classes": 1, "enrollments": 4}),
        counts=counted(roster, declared),
        document_changes=declared,
        roster=roster,
        diagnostics=(
            build_warning(
                "no-manifest",
                "day-1.zip has no manifest.csv; every file is taken as a bulk file",
                Span("day-1.zip"),
                "ask the exporting system for a manifest",
            ),
        ),
    )


def updates() -> CustomerPlan:
    ralph = person("u-12", "Ralph", "Wiggum", email="ralph@springfield.example")
    nelson = person("n-77", "Nelson", "Muntz", identifier="100077", former_key="u-77", live_id=77)
    martin = person("u-30", "Martin", "Prince", grades="05", roles="s-7=student\ns-8=student")
    roster = {
        Kind.USER: frame(
            Kind.USER,
            [
                change(
                    Action.REKEY,
                    Reason.KEY_CHANGED,
                    9,
                    with_before(Kind.USER, nelson),
                    impact_password=True,
                    impact_lti_links=1,
                ),
                change(
                    Action.RESTORE,
                    Reason.RETURNED,
                    21,
                    with_before(Kind.USER, person("u-41", "Rod", "Flanders")),
                ),
                change(
                    Action.ADOPT,
                    Reason.ADOPTED,
                    30,
                    with_before(Kind.USER, person("u-50", "Todd", "Flanders"), username="todd"),
                    manager="lti",
                ),
                change(
                    Action.UPDATE,
                    Reason.FIELD_CHANGED,
                    14,
                    with_before(Kind.USER, ralph, email="old@springfield.example"),
                ),
                change(
                    Action.UPDATE,
                    Reason.DRIFT,
                    15,
                    with_before(Kind.USER, martin, email=None, grades="04", roles="s-7=student", given_name="Marty"),
                ),
                change(
                    Action.SUSPEND,
                    Reason.ROSTER_DISABLED,
                    44,
                    with_before(Kind.USER, person("u-60", "Jimbo", "Jones", status="suspended"), status="active"),
                    impact_classes=2,
                    impact_last_sign_in="2026-11-20T08:00:00Z",
                ),
            ],
        )
    }
    declared = (
        Update(
            kind=Kind.CUSTOMER,
            key="springfield",
            label="Springfield Unified School District",
            reason=Reason.FIELD_CHANGED,
            cause="pr",
            origin=Span("customers/springfield/customer.yaml", 40, 5),
            fields=(
                FieldChange("administrators.agnes.skinner.email", "a@old.example", "agnes@new.example", True),
                FieldChange("administrators.agnes.skinner.role", None, "admin", True),
                FieldChange("administrators.seymour", {"given_name": "Seymour"}, None, True),
                FieldChange("rostering.limits.users.percent", 10, 60),
                FieldChange("rostering.protect", ["u-1"], ["u-1", "u-2"]),
            ),
        ),
    )
    return customer(
        source=source(), counts=counted(roster, declared, unchanged=4290), document_changes=declared, roster=roster
    )


def removals(lost: int = 12) -> CustomerPlan:
    """A school that would lose everyone, a few others, and a row that was set aside."""
    first = [("Lisa", "Simpson"), ("Milhouse", "Van Houten")]
    names = first + [("Pupil", f"Number{number:02}") for number in range(3, lost + 1)]
    leaving = [
        gone(
            Kind.USER,
            person(f"u-{1040 + number}", *name),
            held=True,
            impact_classes=2,
            impact_enrollments=2,
            impact_assignments=1 if number == 1 else 0,
            impact_lti_links=1 if number == 1 else 0,
            impact_last_sign_in="2026-11-20T08:00:00Z" if number == 1 else None,
        )
        for number, name in enumerate(names, 1)
    ]
    leaving += [
        gone(
            Kind.USER,
            person("u-2207", "Otto", "Mann"),
            318,
            impact_classes=0,
            impact_enrollments=0,
            impact_assignments=0,
            impact_lti_links=0,
        ),
        gone(
            Kind.USER,
            person("u-2210", "Edna", "Krabappel", role="teacher"),
            impact_classes=1,
            impact_enrollments=1,
            impact_assignments=3,
            impact_lti_links=0,
            impact_last_sign_in="2026-11-21T08:00:00Z",
        ),
    ]
    class_ = {"key": "c-88", "label": "Algebra 2B", "title": "Algebra 2B", "school": "s-7"}
    enrollments = [
        gone(
            Kind.ENROLLMENT,
            enrollment(f"e-{number}", f"u-{1040 + number}", "c-88"),
            reason=(Reason.PARENT_REMOVED if number <= 14 else Reason.ROSTER_ROW_MISSING).value,
            held=number <= 12,
        )
        for number in range(1, 19)
    ]
    roster = {
        Kind.USER: frame(
            Kind.USER,
            [
                *leaving,
                change(Action.CREATE, Reason.NEW, 4280, person("u-5001", "Maggie", "Simpson"), held=False),
            ],
        ),
        Kind.CLASS: frame(Kind.CLASS, [gone(Kind.CLASS, class_, impact_enrollments=31, impact_assignments=1)]),
        Kind.ENROLLMENT: frame(Kind.ENROLLMENT, enrollments),
    }
    return customer(
        outcome=Outcome.HELD,
        source=source(),
        hold=Hold(
            f"springfield:{lost}:7f3a9c",
            lost,
            lost * 2,
            (f"Lincoln Elementary (s-7) would lose everyone: {lost} of {lost}.",),
        ),
        counts=counted(roster, unchanged=4284, quarantined=1),
        roster=roster,
        limits=(
            LimitUse(Kind.USER, Action.DELETE, "customer", lost + 2, 429, 4298, "people"),
            LimitUse(Kind.USER, Action.DELETE, "org:s-7", lost, 5, lost, "Lincoln Elementary"),
            LimitUse(Kind.USER, Action.DELETE, "org:s-9", 1, 290, 1160, "Springfield High"),
            LimitUse(Kind.CLASS, Action.DELETE, "customer", 1, 100, 402, "classes", "classes"),
            LimitUse(Kind.ENROLLMENT, Action.DELETE, "customer", 18, 2280, 9120, "enrollments", "enrollments"),
        ),
        diagnostics=(
            build_error(
                "unknown-role",
                'role "wizard" of u-212 is not a OneRoster role',
                Span("users.csv", 212, 6),
                "u-212 keeps its account as it is; correct the row or add the role",
            ),
            build_warning(
                "no-manifest", "day-2.zip has no manifest.csv; every file is taken as a bulk file", Span("day-2.zip")
            ),
        ),
    )


def refused() -> CustomerPlan:
    return customer(
        outcome=Outcome.REFUSED,
        source=source(complete=False),
        diagnostics=(
            build_error(
                "truncated-file",
                "users.csv ends in the middle of line 2,911 (7 of 18 fields)",
                Span("day-2.zip"),
                "The upload was probably cut off. Send the file again. The last good roster is of "
                "2026-11-20 02:30 (4,310 people).",
            ),
        ),
    )


def failed() -> CustomerPlan:
    return customer(
        "shelbyville",
        name="Shelbyville Schools",
        outcome=Outcome.FAILED,
        diagnostics=(
            build_error(
                "invalid-choice",
                "match_with must be one of identifier, sourced_id, email, username (got shoe_size)",
                Span("customers/shelbyville/customer.yaml", 31, 5),
                "did you mean sourced_id?",
            ),
        ),
    )


def removed_from_git() -> CustomerPlan:
    declared: tuple[Change, ...] = (
        Delete(
            kind=Kind.CUSTOMER,
            key="ogdenville",
            label="Ogdenville Outlet Schools",
            reason=Reason.REMOVED_FROM_GIT,
            origin=Span("customers/ogdenville/customer.yaml"),
            held=True,
            impact={"people": 812, "communities": 1},
        ),
    )
    return customer(
        "ogdenville",
        name="Ogdenville Outlet Schools",
        outcome=Outcome.HELD,
        hold=Hold("ogdenville:812:00c0de", 812, 1, ("Its file was removed from the customers repository.",)),
        counts=counted({}, declared),
        document_changes=declared,
    )
