"""Whether a plan made now does what was reviewed, or less: by the reviewed plan itself, or by its id alone.

An id is a digest, so nothing can be taken out of it. But what was reviewed and is not to be done any more was often
done meanwhile, and the store can tell what: put back to the effects of now, it gives the reviewed id, or it does not.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import orjson
import polars as pl

from reconciler.config.comparison import BaseComparison
from reconciler.model.cause import ChangeCause
from reconciler.model.change import Action, Change, Create, Delete, FieldChange, Restore, Update, get_action
from reconciler.model.kind import DECLARED_KINDS, ROSTER_KINDS, Kind
from reconciler.model.plan import CATALOG, CustomerPlan, Outcome, Plan, PlanPrecondition
from reconciler.model.reason import Reason
from reconciler.model.settings import DocumentsByKey
from reconciler.model.surprise import UnexplainedChange
from reconciler.operations.plan.base import index_documents, read_base_documents
from reconciler.planning.documents.document_diff import diff_document, diff_fields
from reconciler.planning.frames.live import add_roles, make_empty_live_frame
from reconciler.planning.plan_id import compute_effects_id, list_effects
from reconciler.planning.review import ReviewDifference, compare_with_reviewed
from reconciler.store.open import Store
from reconciler.store.read.history import read_recent_runs, read_run_changes
from reconciler.store.read.reader import Reader
from reconciler.store.read.records import CustomerRecord
from reconciler.store.read.roster_frames import read_classes, read_enrollments_by_id, read_orgs, read_roles, read_users

# What recent runs carried out, as effects of a plan again: read back from the store, which remembers no plan.


@dataclass(frozen=True, slots=True)
class _StoredDocument:
    key: str
    document: Mapping[str, object]


class RunEffects:
    """Each customer's traces are read once, for all the runs that may be asked for."""

    def __init__(self, reader: Reader, runs: pl.DataFrame) -> None:
        """runs: with the columns of `store.traces.RUNS`."""
        self._reader = reader
        self._runs = runs
        self._records = reader.read_customers()
        self._traces: dict[str, pl.DataFrame] = {}
        self._rows: dict[tuple[str, Kind], pl.DataFrame] = {}

    def collect_effects(self, runs: Iterable[int]) -> dict[str, pl.DataFrame]:
        """By customer, as `planning.effects.effects_of` gives them; none of them held."""
        chosen = self._runs.filter(pl.col("run").is_in(list(runs)))
        found = {}
        for customer in chosen["customer"].unique().sort():
            mine = chosen.filter(pl.col("customer") == customer)["run"]
            traces = self._read_traces(customer).filter(pl.col("run").is_in(mine.implode()))
            found[customer] = list_effects(self._build_traced_plan(customer, traces))
        return found

    def _read_traces(self, customer: str) -> pl.DataFrame:
        if customer not in self._traces:
            runs = self._runs.filter(pl.col("customer") == customer)["run"].to_list()
            record = self._records.get(customer)
            known = record is not None or customer == CATALOG
            self._traces[customer] = read_run_changes(
                self._reader.connection, record.id if record else None, runs if known else ()
            )
        return self._traces[customer]

    def _build_traced_plan(self, customer: str, traces: pl.DataFrame) -> CustomerPlan:
        record = self._records.get(customer)
        documents = self._read_documents(customer, record)
        declared = traces.filter(pl.col("kind").is_in([kind.value for kind in DECLARED_KINDS])).sort("run")
        changes = [
            change
            for row in declared.iter_rows(named=True)
            if (document := documents.get((row["kind"], row["id"]))) is not None
            for change in _rebuild_change(row, document)
        ]
        return CustomerPlan(
            id=customer,
            name=customer,
            outcome=Outcome.CHANGES,
            precondition=PlanPrecondition(None, None, None),
            document_changes=tuple(changes),
            roster={kind: self._build_roster_changes(customer, record.id, kind, traces) for kind in ROSTER_KINDS}
            if record
            else {},
            settings=_build_settings(documents),
        )

    def _read_documents(self, customer: str, record: CustomerRecord | None) -> dict[tuple[str, int], _StoredDocument]:
        """By kind and the store's id, as they are now."""
        found = {
            (each.kind.value, each.row_id): _StoredDocument(each.slug, each.document)
            for each in self._reader.read_documents(customer if record else None)
        }
        if record:
            found[Kind.CUSTOMER.value, record.id] = _StoredDocument(customer, record.document)
        return found

    def _build_roster_changes(
        self, customer: str, customer_number: int, kind: Kind, traces: pl.DataFrame
    ) -> pl.DataFrame:
        """The columns that `planning.effects.row_effects` asks for. What is in no roster has no sourcedId."""
        mine = traces.filter(pl.col("kind") == kind.value).sort("run").unique("id", keep="last", maintain_order=True)
        before = {name: pl.col("before").str.json_path_match(f"$.{name}") for name in ("sourced_id", "managed_by")}
        rows = mine.join(self._read_touched_rows(customer, customer_number, kind), on="id", how="inner")
        rekeyed = (pl.col("action") == Action.REKEY.value) & (before["sourced_id"] != pl.col("sourced_id"))
        return rows.filter(pl.col("sourced_id").is_not_null()).with_columns(
            pl.col("sourced_id").alias("key"),
            pl.when(rekeyed).then(before["sourced_id"]).alias("former_key"),
            pl.lit(None, dtype=pl.String).alias("into"),
            before["managed_by"].alias("manager"),
            pl.col("id").alias("live_id"),
            pl.lit(False).alias("held"),
        )

    def _read_touched_rows(self, customer: str, customer_number: int, kind: Kind) -> pl.DataFrame:
        """The rows that the runs touched as they are now, tombstones included."""
        if (customer, kind) not in self._rows:
            ids = self._read_traces(customer).filter(pl.col("kind") == kind.value)["id"]
            rows = self._read_live_rows(customer_number, kind, ids) if ids.len() else make_empty_live_frame(kind)
            self._rows[customer, kind] = rows.filter(pl.col("id").is_in(ids.implode()))
        return self._rows[customer, kind]

    def _read_live_rows(self, customer_number: int, kind: Kind, ids: pl.Series) -> pl.DataFrame:
        """ids: what has to be among the rows."""
        match kind:
            case Kind.ORG:
                return read_orgs(self._reader.connection, customer_number)
            case Kind.USER:
                return add_roles(
                    read_users(self._reader.connection, customer_number),
                    read_roles(self._reader.connection, customer_number),
                )
            case Kind.CLASS:
                return read_classes(self._reader.connection, customer_number)
            case _:
                return read_enrollments_by_id(self._reader.connection, customer_number, ids)


def _rebuild_change(row: Mapping[str, Any], now: _StoredDocument) -> Iterator[Change]:
    """The change that left this trace; none where it cannot be told."""
    action = Action(row["action"])
    fields: tuple[FieldChange, ...] = ()
    if action in (Action.UPDATE, Action.RESTORE):
        before = orjson.loads(row["before"])
        former = before["slug"] if before["slug"] != now.key else None
        fields = diff_document(orjson.loads(before["document"]), now.document, now.key, former)
    facts: dict[str, Any] = {
        "kind": Kind(row["kind"]),
        "key": now.key,
        "label": now.key,
        "reason": Reason.FIELD_CHANGED,
        "fields": fields,
    }
    match action:
        case Action.CREATE:
            yield Create(**facts)
        case Action.UPDATE:
            yield Update(**facts)
        case Action.RESTORE:
            yield Restore(**facts)
        case Action.DELETE:
            yield Delete(**facts)


def _build_settings(documents: Mapping[tuple[str, int], _StoredDocument]) -> dict[str, object]:
    """As `CustomerPlan` has them, as far as effects are made of them."""
    settings: dict[str, Any] = {Kind.COMMUNITY.plural: {}, Kind.LESSON.plural: {}}
    for (kind, _), each in documents.items():
        if kind == Kind.CUSTOMER.value:
            settings["customer"] = each.document
        else:
            settings[Kind(kind).plural][each.key] = each.document
    return settings


#: how far back an id alone is followed: applies, and the runs (one for each customer) of these
MAX_APPLIES = 20
MAX_RUNS = 1_000


@dataclass(frozen=True, slots=True)
class ReviewVerdict:
    """fits: the plan does the same or less. departure: what differs, where the reviewed plan is at hand. runs: those
    that carried out since what is no longer there, where the id alone told."""

    fits: bool
    difference: ReviewDifference | None = None
    runs: tuple[int, ...] = ()


def compare_with_plan(plan: Plan, reviewed: Plan) -> ReviewVerdict:
    """Both of one store."""
    found = compare_with_reviewed(reviewed.customers, plan.customers)
    return ReviewVerdict(not found.does_more, found)


def compare_with_plan_id(store: Store, plan: Plan, reviewed_id: str) -> ReviewVerdict:
    """reviewed: the id of a plan of this store."""
    if plan.plan_id == reviewed_id:
        return ReviewVerdict(True)
    now = {customer.id: list_effects(customer) for customer in plan.customers}
    with store.open_reader() as reader:
        runs = read_recent_runs(reader.connection, MAX_RUNS)
        carried_out = RunEffects(reader, runs)
        for chosen in _iterate_possible_runs(runs, reviewed_id):
            if (
                compute_effects_id(store.identity, _merge_effects(now, carried_out.collect_effects(chosen)))
                == reviewed_id
            ):
                return ReviewVerdict(True, runs=tuple(sorted(chosen)))
    return ReviewVerdict(False)


def _iterate_possible_runs(runs: pl.DataFrame, reviewed_id: str) -> Iterator[list[int]]:
    """Runs that may have carried out a part of it: those of that very plan; then everything since the last apply,
    the last two, and so on."""
    same = runs.filter(pl.col("plan_id") == reviewed_id)["run"].to_list()
    if same:
        yield same
    applies = runs.with_columns(pl.col("plan_id").rle_id().alias("apply"))
    for last in range(min(MAX_APPLIES, applies["apply"].n_unique())):
        yield applies.filter(pl.col("apply") <= last)["run"].to_list()


def _merge_effects(now: Mapping[str, pl.DataFrame], since: Mapping[str, pl.DataFrame]) -> dict[str, pl.DataFrame]:
    found = dict(now)
    for customer, effects in since.items():
        mine = found.get(customer, effects.clear())
        found[customer] = pl.concat([mine, effects.join(mine, on="effect", how="anti")])
    return found


# Where the store is not as a base in git says: what makes a plan beside it another one than was reviewed.


def find_unexplained_changes(plan: Plan, comparison: BaseComparison) -> Iterator[UnexplainedChange]:
    """In the plan's order, of documents; what a roster would do is never part of such an apply."""
    for customer in plan.customers:
        before = read_base_documents(comparison, customer.id)
        now = index_documents(comparison.current_repository, customer.id)
        for change in customer.document_changes:
            yield from _compare_change_with_base(customer.id, change, before, now)


def _compare_change_with_base(
    customer: str, change: Change, before: DocumentsByKey, now: DocumentsByKey
) -> Iterator[UnexplainedChange]:
    key = (change.kind, change.key)
    action = get_action(change)
    if not change.fields:
        if change.cause is not ChangeCause.PR:
            yield UnexplainedChange(customer, change.kind, change.key, action, change.cause)
        return
    base = {field.path: field.before for field in diff_fields(before.get(key, {}), now.get(key, {}))}
    for field in change.fields:
        known = base.get(field.path, field.before)
        if field.cause is not ChangeCause.PR or known != field.before:
            yield UnexplainedChange(
                customer,
                change.kind,
                change.key,
                action,
                field.cause,
                field.path,
                known if field.cause is ChangeCause.PR else field.after,
                field.before,
                field.after,
                field.personal,
            )
