"""What recent runs carried out, as effects of a plan again: read back from the store, which remembers no plan.

What a run made or changed has the values that it was given as long as nobody changed it again, and the journal has what
was there before. What was changed again since, the value of a secret, and whom an account was merged into cannot be
read back.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import orjson
import polars as pl

from reconciler.model.change import Action, Change, Create, Delete, FieldChange, Restore, Update
from reconciler.model.kind import DECLARED_KINDS, ROSTER_KINDS, Kind
from reconciler.model.plan import CATALOGUE, CustomerPlan, Outcome, Seen
from reconciler.model.reason import Reason
from reconciler.planning.declared import document_changes
from reconciler.planning.effects import effects_of
from reconciler.planning.live import empty_live, with_roles
from reconciler.store.reader import Reader
from reconciler.store.records import CustomerRecord


@dataclass(frozen=True, slots=True)
class _Document:
    key: str
    document: Mapping[str, object]


class CarriedOut:
    """Each customer's traces are read once, for all the runs that may be asked for."""

    def __init__(self, reader: Reader, runs: pl.DataFrame) -> None:
        """runs: with the columns of `store.traces.RUNS`."""
        self._reader = reader
        self._runs = runs
        self._records = reader.customers()
        self._traces: dict[str, pl.DataFrame] = {}
        self._rows: dict[tuple[str, Kind], pl.DataFrame] = {}

    def effects(self, runs: Iterable[int]) -> dict[str, pl.DataFrame]:
        """By customer, as `planning.effects.effects_of` gives them; none of them held."""
        chosen = self._runs.filter(pl.col("run").is_in(list(runs)))
        found = {}
        for customer in chosen["customer"].unique().sort():
            mine = chosen.filter(pl.col("customer") == customer)["run"]
            traces = self._of(customer).filter(pl.col("run").is_in(mine.implode()))
            found[customer] = effects_of(self._as_plan(customer, traces))
        return found

    def _of(self, customer: str) -> pl.DataFrame:
        if customer not in self._traces:
            runs = self._runs.filter(pl.col("customer") == customer)["run"].to_list()
            record = self._records.get(customer)
            known = record is not None or customer == CATALOGUE
            self._traces[customer] = self._reader.traces(record.id if record else None, runs if known else ())
        return self._traces[customer]

    def _as_plan(self, customer: str, traces: pl.DataFrame) -> CustomerPlan:
        record = self._records.get(customer)
        documents = self._documents(customer, record)
        declared = traces.filter(pl.col("kind").is_in([kind.value for kind in DECLARED_KINDS])).sort("run")
        changes = [
            change
            for row in declared.iter_rows(named=True)
            if (document := documents.get((row["kind"], row["id"]))) is not None
            for change in _change(row, document)
        ]
        return CustomerPlan(
            id=customer,
            name=customer,
            outcome=Outcome.CHANGES,
            seen=Seen(None, None, None),
            declared=tuple(changes),
            roster={kind: self._roster(customer, record.id, kind, traces) for kind in ROSTER_KINDS} if record else {},
            settings=_settings(documents),
        )

    def _documents(self, customer: str, record: CustomerRecord | None) -> dict[tuple[str, int], _Document]:
        """By kind and the store's id, as they are now."""
        found = {
            (each.kind.value, each.row_id): _Document(each.slug, each.document)
            for each in self._reader.declared(customer if record else None)
        }
        if record:
            found[Kind.CUSTOMER.value, record.id] = _Document(customer, record.document)
        return found

    def _roster(self, customer: str, number: int, kind: Kind, traces: pl.DataFrame) -> pl.DataFrame:
        """The columns that `planning.effects.row_effects` asks for. What is in no roster has no sourcedId."""
        mine = traces.filter(pl.col("kind") == kind.value).sort("run").unique("id", keep="last", maintain_order=True)
        before = {name: pl.col("before").str.json_path_match(f"$.{name}") for name in ("sourced_id", "managed_by")}
        rows = mine.join(self._live(customer, number, kind), on="id", how="inner")
        rekeyed = (pl.col("action") == Action.REKEY.value) & (before["sourced_id"] != pl.col("sourced_id"))
        return rows.filter(pl.col("sourced_id").is_not_null()).with_columns(
            pl.col("sourced_id").alias("key"),
            pl.when(rekeyed).then(before["sourced_id"]).alias("former_key"),
            pl.lit(None, dtype=pl.String).alias("into"),
            before["managed_by"].alias("manager"),
            pl.col("id").alias("live_id"),
            pl.lit(False).alias("held"),
        )

    def _live(self, customer: str, number: int, kind: Kind) -> pl.DataFrame:
        """The rows that the runs touched as they are now, tombstones included."""
        if (customer, kind) not in self._rows:
            ids = self._of(customer).filter(pl.col("kind") == kind.value)["id"]
            rows = self._read(number, kind, ids) if ids.len() else empty_live(kind)
            self._rows[customer, kind] = rows.filter(pl.col("id").is_in(ids.implode()))
        return self._rows[customer, kind]

    def _read(self, number: int, kind: Kind, ids: pl.Series) -> pl.DataFrame:
        """ids: what has to be among the rows."""
        match kind:
            case Kind.ORG:
                return self._reader.orgs(number)
            case Kind.USER:
                return with_roles(self._reader.users(number), self._reader.roles(number))
            case Kind.CLASS:
                return self._reader.classes(number)
            case _:
                return self._reader.enrollments_by_id(number, ids)


def _change(row: Mapping[str, Any], now: _Document) -> Iterator[Change]:
    """The change that left this trace; none where it cannot be told."""
    action = Action(row["action"])
    fields: tuple[FieldChange, ...] = ()
    if action in (Action.UPDATE, Action.RESTORE):
        before = orjson.loads(row["before"])
        former = before["slug"] if before["slug"] != now.key else None
        fields = document_changes(orjson.loads(before["document"]), now.document, now.key, former)
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


def _settings(documents: Mapping[tuple[str, int], _Document]) -> dict[str, object]:
    """As `CustomerPlan` has them, as far as effects are made of them."""
    settings: dict[str, Any] = {Kind.COMMUNITY.plural: {}, Kind.LESSON.plural: {}}
    for (kind, _), each in documents.items():
        if kind == Kind.CUSTOMER.value:
            settings["customer"] = each.document
        else:
            settings[Kind(kind).plural][each.key] = each.document
    return settings
