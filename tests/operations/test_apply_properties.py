"""Property tests of apply: after two rosters the store holds the second, and a returning person is not a new one."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from datetime import date
from pathlib import Path
from uuid import UUID

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reconciler.config.models.customer import Administrator, Agreements, Customer
from reconciler.config.models.limits import Limits
from reconciler.config.models.rostering import OneRosterRostering
from reconciler.config.models.sync import ZipSync
from reconciler.model.change import Create
from reconciler.model.kind import ROSTER_KINDS, Kind
from reconciler.model.plan import CustomerPlan, Outcome, PlanPrecondition
from reconciler.model.reason import Reason
from reconciler.oneroster.bundle import read_zip
from reconciler.operations.plan.roster import RosterSettings, compare_roster, read_stored_roster
from reconciler.planning.customer_plan import PlannedDocuments, PlannedRoster, build_customer_plan
from reconciler.planning.roster.desired import build_desired_roster
from reconciler.store.open import Store
from reconciler.store.read.roster_frames import (
    read_classes,
    read_enrollment_index,
    read_enrollments_by_id,
    read_orgs,
    read_users,
)
from reconciler.store.write.apply import ApplyJob, apply_customer
from tests.support.rosters.bundles import Bundle, bundle

RULES = OneRosterRostering(
    type="oneroster", client_partner_id="d-1", match_with="identifier", sync=ZipSync(type="zip"), limits=Limits()
)
TERMS = RosterSettings(
    Customer(
        kind="customer",
        id="d",
        name="D",
        administrators=(
            Administrator(given_name="Ada", family_name="B", email="a@d.example", username="ada", role="admin"),
        ),
        agreements=Agreements(privacy_policy=date(2026, 8, 1), terms_of_service=date(2026, 8, 1)),
        rostering=RULES,
    ),
    RULES,
)
SETTINGS = {"digest": "x", "customer": {"name": "D"}, "communities": {}, "lessons": {}, "origins": {}}
BASE = bundle(users=24, classes=4)

changes = st.lists(
    st.tuples(
        st.sampled_from(["leave", "rename", "rekey", "disable", "move", "class", "other-class", "enrollments"]),
        st.sampled_from(BASE.ids("users")),
        st.integers(0, 5),
    ),
    max_size=8,
)


def varied(steps: list[tuple[str, str, int]]) -> Bundle:
    made = BASE
    for what, who, number in steps:
        if who not in made.ids("users"):
            continue
        if what == "leave" and len(made.ids("users")) > 1:
            made = made.without_users([who])
        elif what == "rename":
            made = made.with_user(who, username=f"name{number}-{who}", email=f"{number}@example.com")
        elif what == "rekey":
            row = next(row for row in made.tables["users"] if row["sourcedId"] == who)
            made = made.without_users([who]).with_user(
                **{**row, "sourced_id": f"n{number}-{who}", "sourcedId": f"n{number}-{who}"}
            )
        elif what == "disable":
            made = made.with_user(who, enabledUser="false")
        elif what == "move":
            made = made.with_user(who, orgSourcedIds="s-1" if number % 2 else "s-1,s-2")
        elif what == "class":
            made = made.without_class(f"c-{number:02d}") if f"c-{number:02d}" in made.ids("classes")[1:] else made
        elif what == "other-class":
            made = with_other_class_id(made, f"c-{number % 4 + 1:02d}", again=number > 3)
        elif what == "enrollments":
            made = made.with_rows(
                "enrollments",
                [{**row, "sourcedId": f"{number}{row['sourcedId']}"} for row in made.tables["enrollments"]],
            )
    return made


def with_other_class_id(made: Bundle, class_id: str, *, again: bool) -> Bundle:
    """The class under another sourcedId; again: its enrollments too."""
    other = f"other-{class_id}"
    if class_id not in made.ids("classes") or other in made.ids("classes"):
        return made
    rows = [{**row, "sourcedId": other} if row["sourcedId"] == class_id else row for row in made.tables["classes"]]
    enrollments = [
        {**row, "classSourcedId": other, **({"sourcedId": f"n-{row['sourcedId']}"} if again else {})}
        if row["classSourcedId"] == class_id
        else row
        for row in made.tables["enrollments"]
    ]
    return made.with_rows("classes", rows).with_rows("enrollments", enrollments)


def planned(store: Store, customer: str, made: Bundle, settings: RosterSettings = TERMS) -> CustomerPlan:
    with tempfile.TemporaryDirectory() as folder:
        snapshot = read_zip(made.zip(Path(folder) / "day.zip"), fetched_at="2026-11-22T00:00:00Z")
    with store.open_reader() as reader:
        record = reader.read_customers().get(customer)
        compared = compare_roster(snapshot, settings, reader, read_stored_roster(reader, record.id if record else None))
        seen = PlanPrecondition(record.version if record else None, record.settings_digest if record else None, "x")
    declared = () if record else (create(customer),)
    return build_customer_plan(
        customer,
        "D",
        PlannedDocuments(seen, tuple(declared), settings=SETTINGS if declared else None),
        PlannedRoster(compared.decision, compared.impact, snapshot=compared.snapshot_frames, facts=compared.facts),
        hold_key=store.key.hold_key,
    )


def create(customer: str) -> Create:
    return Create(kind=Kind.CUSTOMER, key=customer, label="D", reason=Reason.NEW)


def applied(store: Store, customer: str, made: Bundle) -> CustomerPlan:
    plan = planned(store, customer, made)
    apply_customer(store, ApplyJob(plan, plan_id="sha256:x", actor="test", approved=True))
    return plan


def held(store: Store, customer: str) -> dict[Kind, list[tuple[object, ...]]]:
    """Everything alive, in words of the roster."""
    with store.open_reader() as reader:
        number = reader.read_customers()[customer].id
        index = read_enrollment_index(reader.connection, number)
        frames = {
            Kind.ORG: read_orgs(reader.connection, number),
            Kind.USER: read_users(reader.connection, number).filter(pl.col("sourced_id").is_not_null()),
            Kind.CLASS: read_classes(reader.connection, number),
            Kind.ENROLLMENT: read_enrollments_by_id(reader.connection, number, index["id"]),
        }
    return {
        kind: frame.filter(~pl.col("tombstoned")).select("sourced_id", "fingerprint").sort("sourced_id").rows()
        for kind, frame in frames.items()
    }


def wanted(made: Bundle) -> dict[Kind, list[tuple[object, ...]]]:
    with tempfile.TemporaryDirectory() as folder:
        snapshot = read_zip(made.zip(Path(folder) / "day.zip"), fetched_at="x")
    frames = build_desired_roster(snapshot, "d-1", None).frames
    return {kind: frames[kind].select("sourced_id", "fingerprint").sort("sourced_id").rows() for kind in ROSTER_KINDS}


@pytest.mark.slow
@settings(
    deadline=None,
    max_examples=8,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(changes, changes, st.uuids())
def test_an_applied_roster_is_what_the_store_holds(store: Store, first: list, later: list, name: UUID) -> None:  # type: ignore[type-arg]
    """Every example is a new customer in the one store."""
    customer, one, two = f"d-{name}", varied(first), varied(later)
    applied(store, customer, one)
    accounts = ids(store, customer)
    applied(store, customer, two)

    assert held(store, customer) == wanted(two)
    assert planned(store, customer, two).outcome is Outcome.UNCHANGED

    applied(store, customer, one)
    assert held(store, customer) == wanted(one)
    assert ids(store, customer) == accounts, "everybody who is back has the account they had"


def ids(store: Store, customer: str) -> dict[object, object]:
    with store.open_reader() as reader:
        users = read_users(reader.connection, reader.read_customers()[customer].id).filter(~pl.col("tombstoned"))
    return dict(users.select("sourced_id", "id").rows())


STRANDED = """
SELECT count(*) FROM enrollments e JOIN classes c ON c.id = e.class_id
WHERE e.tombstoned_at IS NULL AND c.tombstoned_at IS NOT NULL
"""
REPEATED = """
SELECT count(*) FROM (SELECT 1 FROM enrollments WHERE tombstoned_at IS NULL
                      GROUP BY class_id, account_id, role HAVING count(*) > 1) AS twice
"""

limits = st.builds(
    lambda percents: Limits(
        **{
            name: {"percent": percent, "floor": 1}
            for name, percent in zip(("users", "classes", "enrollments", "rekeys", "updates"), percents, strict=True)
        }
    ),
    st.tuples(*[st.sampled_from([0, 10, 50, 100])] * 5),
)


@pytest.mark.slow
@settings(
    deadline=None,
    max_examples=12,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(changes, changes, limits, st.uuids())
def test_no_hold_strands_an_enrollment(
    store: Store,
    first: list,  # type: ignore[type-arg]
    later: list,  # type: ignore[type-arg]
    limits: Limits,
    name: UUID,
) -> None:
    """Whatever the limits hold: first all that is not held is applied, then the hold is approved."""
    customer, two = f"d-{name}", varied(later)
    rules = RULES.model_copy(update={"limits": limits})
    strict = replace(TERMS, customer=TERMS.customer.model_copy(update={"rostering": rules}), rostering=rules)
    applied(store, customer, varied(first))

    for approved in (False, True):
        plan = planned(store, customer, two, strict)
        apply_customer(store, ApplyJob(plan, plan_id="sha256:x", actor="test", approved=approved))
        with store.open_reader() as reader:
            assert reader.connection.fetch_scalar(STRANDED) == 0
            assert reader.connection.fetch_scalar(REPEATED) == 0

    assert held(store, customer) == wanted(two)
