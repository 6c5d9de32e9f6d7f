"""Property tests of undo: undoing two rosters restores the store, and undoing the undo restores their result."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any
from uuid import UUID

import polars as pl
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from reconciler.config.repository import load_repository
from reconciler.config.secrets import create_backend
from reconciler.model.kind import ROSTER_KINDS, Kind
from reconciler.model.plan import Plan
from reconciler.model.roster import list_field_names
from reconciler.operations.apply.apply import ApplyOutcome, apply_plan
from reconciler.operations.plan.plan import make_plan
from reconciler.operations.plan.request import PlanRequest, RosterChoice
from reconciler.operations.undo.undo import build_undo_plan
from reconciler.operations.workspace import Workspace
from reconciler.planning.frames.live import add_roles
from reconciler.store.open import Store
from reconciler.store.read.roster_frames import (
    read_classes,
    read_enrollment_index,
    read_enrollments_by_id,
    read_orgs,
    read_roles,
    read_users,
)
from tests.support.customers.project import CUSTOMER, ENVIRONMENT, ROSTERING
from tests.support.rosters.bundles import Bundle, bundle

pytestmark = pytest.mark.slow

BASE = bundle(users=16, classes=4)
PEOPLE = BASE.ids("users")
COMMUNITY = (
    "kind: community\nid: {name}\nname: {name}\nsite_license: {{seats: 99, starts: 2026-08-01, ends: 2027-07-31}}\n"
)

Step = tuple[str, str, str, int]
steps = st.lists(
    st.tuples(
        st.sampled_from(
            ["leave", "rename", "swap", "rekey", "disable", "move", "role", "class", "title", "drop", "join", "enroll"]
        ),
        st.sampled_from(PEOPLE),
        st.sampled_from(PEOPLE),
        st.integers(0, 5),
    ),
    max_size=8,
)


def varied(taken: list[Step]) -> Bundle:
    made = BASE
    for what, who, other, number in taken:
        rows = {row["sourcedId"]: row for row in made.tables["users"]}
        if who not in rows:
            continue
        row = rows[who]
        if what == "leave" and len(rows) > 1:
            made = made.without_users([who])
        elif what == "rename":
            made = made.with_user(who, username=f"name{number}-{who}", email=f"{number}-{who}@example.com")
        elif what == "swap" and other in rows and other != who:
            names = row["username"], rows[other]["username"]
            made = made.with_user(who, username=names[1]).with_user(other, username=names[0])
        elif what == "rekey":
            made = rekeyed(made, who, f"n{number}-{who}")
        elif what == "disable":
            made = made.with_user(who, enabledUser="false")
        elif what == "move":
            made = made.with_user(who, orgSourcedIds="s-1" if number % 2 else "s-1,s-2")
        elif what == "role":
            made = made.with_user(who, role="teacher" if number % 2 else "student")
        elif what == "class" and f"c-{number:02d}" in made.ids("classes")[1:]:
            made = made.without_class(f"c-{number:02d}")
        elif what == "title" and f"c-{number:02d}" in made.ids("classes"):
            made = made.with_row("classes", f"c-{number:02d}", title=f"Title {number} {who}")
        elif what == "drop" and len(made.tables["enrollments"]) > 1:
            made = made.without("enrollments", [made.ids("enrollments")[number % len(made.ids("enrollments"))]])
        elif what == "join":
            made = made.with_user(f"j{number}", username=f"j{number}", identifier=f"77000{number}")
        elif what == "enroll":
            fields = {"classSourcedId": "c-02", "schoolSourcedId": "s-1", "userSourcedId": who, "role": "student"}
            made = made.with_row("enrollments", f"x-{who}", **fields, primary="false")
    return made


def rekeyed(made: Bundle, who: str, key: str) -> Bundle:
    """With all their enrollments, as a school system that gives out new numbers writes them."""
    users = [{**row, "sourcedId": key if row["sourcedId"] == who else row["sourcedId"]} for row in made.tables["users"]]
    enrollments = [
        {**row, "userSourcedId": key if row["userSourcedId"] == who else row["userSourcedId"]}
        for row in made.tables["enrollments"]
    ]
    return made.with_rows("users", users).with_rows("enrollments", enrollments)


class Town:
    """One customer of its own in the one store."""

    def __init__(self, store: Store, folder: Path, name: str) -> None:
        self.store, self.folder, self.name = store, folder, name
        self.write("Town", communities=("all",))

    def write(self, title: str, communities: tuple[str, ...]) -> None:
        place = self.folder / "customers" / self.name
        (place / "communities").mkdir(parents=True, exist_ok=True)
        text = CUSTOMER.format(id=self.name, name=title, more=ROSTERING.format(org="d-1"))
        (place / "customer.yaml").write_text(text)
        for path in (place / "communities").iterdir():
            path.unlink()
        for each in communities:
            (place / "communities" / f"{each}.yaml").write_text(COMMUNITY.format(name=each))

    @property
    def workspace(self) -> Workspace:
        repository = load_repository(self.folder / "customers")
        _, chosen = repository.get_environment(None)
        secrets = create_backend(chosen.secrets)
        return Workspace(self.folder / "customers", ENVIRONMENT, "", self.store, secrets, loaded_repository=repository)

    def apply(self, made: Bundle) -> int | None:
        """The run, None where there was nothing to do."""
        path = made.zip(self.folder / "day.zip")
        return self.carried_out(make_plan(self.workspace, PlanRequest((self.name,), path, RosterChoice.FRESH)))

    def undo(self, run: int) -> int | None:
        return self.carried_out(build_undo_plan(self.workspace, run))

    def carried_out(self, plan: Plan) -> int | None:
        (customer,) = plan.customers
        (result,) = apply_plan(self.workspace, plan, [customer.hold.id] if customer.hold else [])
        assert result.outcome in (ApplyOutcome.APPLIED, ApplyOutcome.UNCHANGED), (result, customer.diagnostics)
        return result.run

    def state(self) -> dict[str, Any]:
        """Everything alive, with the store's own ids where something is kept by them; tombstones apart."""
        with self.store.open_reader() as reader:
            record = reader.read_customers()[self.name]
            users = read_users(reader.connection, record.id)
            frames = {
                Kind.ORG: read_orgs(reader.connection, record.id),
                Kind.USER: add_roles(users, read_roles(reader.connection, record.id)),
                Kind.CLASS: read_classes(reader.connection, record.id),
                Kind.ENROLLMENT: read_enrollments_by_id(
                    reader.connection, record.id, read_enrollment_index(reader.connection, record.id)["id"]
                ),
            }
            documents = [
                (each.kind, each.slug, each.document)
                for each in reader.read_documents(self.name)
                if not each.tombstoned
            ]
        found: dict[str, Any] = {
            kind.value: frames[kind]
            .filter(~pl.col("tombstoned"))
            .select("id", "sourced_id", *(["managed_by"] if kind is Kind.USER else []), *list_field_names(kind))
            .sort("id")
            .rows()
            for kind in ROSTER_KINDS
        }
        found["documents"] = [record.document, record.tombstoned, *documents]
        found["memberships"] = self.ask(
            "SELECT m.account_id, c.slug, m.role FROM memberships m JOIN communities c ON c.id = m.community_id"
            f" WHERE m.customer_id = {record.id} ORDER BY 1, 2, 3"
        )
        found["closure"] = self.ask(
            f"SELECT ancestor_id, descendant_id, depth FROM org_closure WHERE customer_id = {record.id} ORDER BY 1, 2"
        )
        return found

    def rows(self) -> dict[str, int]:
        """How many there are of each kind, tombstones included."""
        number = self.ask(f"SELECT id FROM customers WHERE slug = '{self.name}'")[0][0]
        tables = ("orgs", "accounts", "classes", "enrollments")
        return {table: self.ask(f"SELECT count(*) FROM {table} WHERE customer_id = {number}")[0][0] for table in tables}

    def ask(self, statement: str) -> list[tuple[Any, ...]]:
        with self.store.open_connection() as connection, connection.open_read_transaction():
            return connection.fetch_rows(statement)


EXAMPLES = {"sqlite": 14, "postgresql": 4}
CHECKS = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture]


def examples(store: Store) -> int:
    return EXAMPLES[store.dialect.name]


@pytest.mark.slow
def test_undo_restores_the_before_and_its_undo_the_after(store: Store) -> None:
    @settings(deadline=None, max_examples=examples(store), suppress_health_check=CHECKS)
    @given(steps, steps, st.booleans(), st.uuids())
    def holds(first: list[Step], later: list[Step], renamed: bool, name: UUID) -> None:
        with tempfile.TemporaryDirectory() as folder:
            town = Town(store, Path(folder), f"d-{name}")
            town.apply(varied(first))
            before = town.state()
            if renamed:
                town.write("Other Town", communities=("few", "many"))
            run = town.apply(varied(later))
            after, rows = town.state(), town.rows()
            if run is None:
                assert after == before
                return
            undone = town.undo(run)
            assert undone is not None
            assert town.state() == before
            assert town.rows() == rows, "what the run made is there as tombstones"
            assert town.undo(undone) is not None
            assert town.state() == after
            assert town.rows() == rows

    holds()


#: Who was rekeyed and then left comes back under the first sourcedId.
BACK_UNDER_AN_OLDER_NUMBER: list[list[Step]] = [[("rekey", PEOPLE[6], PEOPLE[6], 0)], [("leave", PEOPLE[6], "", 0)], []]


@pytest.mark.slow
def test_runs_undone_in_turn_lead_back_through_every_state(store: Store) -> None:
    @settings(deadline=None, max_examples=examples(store) // 2, suppress_health_check=CHECKS)
    @given(st.lists(steps, min_size=2, max_size=4), st.uuids())
    @example(BACK_UNDER_AN_OLDER_NUMBER, UUID(int=1))
    def holds(days: list[list[Step]], name: UUID) -> None:
        with tempfile.TemporaryDirectory() as folder:
            town = Town(store, Path(folder), f"d-{name}")
            town.apply(BASE)
            history = []
            for day in days:
                before = town.state()
                run = town.apply(varied(day))
                if run is not None:
                    history.append((run, before))
            for run, before in reversed(history):
                town.undo(run)
                assert town.state() == before

    holds()


@pytest.mark.slow
def test_changes_of_a_later_run_survive_an_earlier_undo(store: Store) -> None:
    @settings(deadline=None, max_examples=examples(store), suppress_health_check=CHECKS)
    @given(steps, steps, st.uuids())
    def holds(first: list[Step], later: list[Step], name: UUID) -> None:
        with tempfile.TemporaryDirectory() as folder:
            town = Town(store, Path(folder), f"d-{name}")
            town.apply(BASE)
            one = town.apply(varied(first))
            two = town.apply(varied([*first, *later]))
            if one is None or two is None:
                return
            after = town.state()
            town.undo(one)
            now = town.state()
            for kind, table in ((Kind.USER, "accounts"), (Kind.CLASS, "classes"), (Kind.ENROLLMENT, "enrollments")):
                touched = {
                    row[0]
                    for row in town.ask(
                        f"SELECT row_id FROM journal WHERE run_id = {two} AND kind = '{kind.value}'"
                        f" UNION SELECT id FROM {table} WHERE created_run = {two}"
                    )
                }
                theirs = [[row for row in state[kind.value] if row[0] in touched] for state in (after, now)]
                assert named(kind, theirs[0]) == named(kind, theirs[1])
            alive = {kind: {row[0] for row in now[kind.value]} for kind in ROSTER_KINDS}
            lost = town.ask(
                "SELECT e.id, e.account_id, e.class_id FROM enrollments e JOIN customers c ON c.id = e.customer_id"
                f" WHERE c.slug = '{town.name}' AND e.tombstoned_at IS NULL"
            )
            for number, account, class_ in lost:
                assert account in alive[Kind.USER], f"enrollment {number} of nobody"
                assert class_ in alive[Kind.CLASS], f"enrollment {number} in no class"

    holds()


def named(kind: Kind, rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """An enrollment names its person by a sourcedId, which the undo may give back."""
    if kind is not Kind.ENROLLMENT:
        return rows
    place = 2 + list_field_names(kind).index("user")
    return [(*row[:place], *row[place + 1 :]) for row in rows]
