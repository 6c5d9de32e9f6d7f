"""Explain the state of one person, class or org, and the change that the next plan would make to it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import polars as pl

from reconciler.config.models import OneRosterRostering
from reconciler.model.diagnostic import Diagnostic, Refusal, Span, build_error
from reconciler.model.ids import CustomerId, CustomerNumber, RunId
from reconciler.model.kind import Kind
from reconciler.model.plan import CustomerPlan, Outcome
from reconciler.model.role import ADMINISTRATOR_ROLES
from reconciler.model.roster import AccountManager
from reconciler.model.text_form import make_caseless_column, make_caseless_form
from reconciler.operations.plan.plan import make_plan
from reconciler.operations.plan.request import PlanRequest, RosterChoice
from reconciler.operations.plan.roster import count_impact, read_stored_roster
from reconciler.operations.workspace import Workspace, describe_unknown_customer
from reconciler.planning.customer_plan import Impact
from reconciler.planning.frames import LiveRoster, add_roles
from reconciler.store import read as store_read

#: in the order in which a key is looked up
EXPLAINABLE_KINDS = (Kind.USER, Kind.CLASS, Kind.ORG)
PSEUDONYM = "P-"


@dataclass(frozen=True, slots=True)
class Explanation:
    customer: CustomerId
    kind: Kind
    #: sourcedId, or the username of an account that no roster has
    key: str
    label: str
    #: current fields by name
    live: Mapping[str, Any]
    #: origin and changes of the row
    record: store_read.RowRecord
    #: runs that touched it, by id
    runs: Mapping[RunId, store_read.RunRecord]
    #: that an account is linked to
    identities: tuple[store_read.AccountIdentity, ...]
    communities: tuple[str, ...]
    #: numbers of rows that would be removed with it
    impact: Mapping[str, object]
    #: sentences about why a roster would not remove it
    protections: tuple[str, ...]
    #: row of the next plan; None if that leaves it unchanged
    planned_change: Mapping[str, Any] | None
    #: the next plan; None if the files don't have the customer
    plan: CustomerPlan | None
    #: source of the next plan's roster, in words
    roster: str
    diagnostics: tuple[Diagnostic, ...]


@dataclass(frozen=True, slots=True)
class _ExplainedCustomer:
    id: CustomerId
    #: the store's id of the customer
    number: CustomerNumber
    live: LiveRoster
    #: the next plan; None if the files don't have the customer
    plan: CustomerPlan | None


def explain_key(
    workspace: Workspace, customer: CustomerId, key: str, bundle: Path | None = None
) -> tuple[Explanation, ...]:
    """Explain each row that has the key.

    key: a sourcedId, a username, a pseudonym or `kind:sourcedId`. bundle: OneRoster ZIP for the next plan, instead of
    the last good roster. Raises Refusal if nothing has the key."""
    with workspace.store.open_reader() as reader:
        record = reader.read_customers().get(customer)
        if record is None:
            raise Refusal([describe_unknown_customer(customer, reader.read_customers())])
        known = read_stored_roster(reader, record.id)
        live = replace(known.live, users=add_roles(known.live.users, known.live.roles))
        rows = _find_rows(workspace, live, customer, key)
        plan = _make_next_plan(workspace, customer, bundle)
        if not rows:
            # The row may be quarantined, so that the store never got it.
            raise Refusal([_describe_unknown_key(customer, key), *_select_diagnostics(plan, key)])
        explained = _ExplainedCustomer(customer, record.id, live, plan)
        return tuple(_build_explanation(workspace, reader, explained, kind, row) for kind, row in rows)


def _find_rows(
    workspace: Workspace, live: LiveRoster, customer: CustomerId, key: str
) -> list[tuple[Kind, dict[str, Any]]]:
    """Return rows by sourcedId, else people by alias or username, else by pseudonym."""
    kind_word, _, rest = key.partition(":")
    kinds = tuple(kind for kind in EXPLAINABLE_KINDS if kind.value == kind_word and rest) or EXPLAINABLE_KINDS
    wanted = rest if len(kinds) == 1 and rest else key
    found = [
        (kind, row)
        for kind in kinds
        for row in live.get_frame(kind).filter(pl.col("sourced_id") == wanted).iter_rows(named=True)
    ]
    if found or Kind.USER not in kinds:
        return found
    users = live.users
    matches = pl.lit(make_caseless_column(users["username"]) == make_caseless_form(wanted))
    if "aliases" in users.columns:
        matches = matches | pl.col("aliases").str.split("\n").list.contains(wanted)
    rows = users.filter(matches.fill_null(False))
    if not rows.height and wanted.startswith(PSEUDONYM):
        known = workspace.store.key.known
        named = users.filter(pl.col("sourced_id").is_not_null())
        # A report may be older than the store's present key.
        masked = named["sourced_id"].map_elements(
            lambda each: any(key.make_pseudonym(Kind.USER, customer, each) == wanted for key in known),
            return_dtype=pl.Boolean,
        )
        rows = named.filter(masked)
    # Active accounts come first.
    return [(Kind.USER, row) for row in rows.sort("tombstoned").iter_rows(named=True)]


def _make_next_plan(workspace: Workspace, customer: CustomerId, bundle: Path | None) -> CustomerPlan | None:
    if customer not in workspace.repository.customers and customer not in workspace.repository.invalid:
        return None
    choice = RosterChoice.FRESH if bundle else RosterChoice.LAST
    return make_plan(workspace, PlanRequest((customer,), bundle, choice)).customers[0]


def _build_explanation(
    workspace: Workspace, reader: store_read.Reader, explained: _ExplainedCustomer, kind: Kind, row: dict[str, Any]
) -> Explanation:
    customer, live, plan = explained.id, explained.live, explained.plan
    record = store_read.read_row_record(reader.connection, kind, row["id"])
    if record is None:
        raise Refusal([_describe_unknown_key(customer, row["sourced_id"] or "")])
    named = (record.origin_run, record.created_run, record.tombstoned_run)
    touched = {each.run for each in record.changes} | {run for run in named if run is not None}
    runs = {run: found for run in sorted(touched) if (found := reader.find_run(run)) is not None}
    ids = {
        each: pl.Series("live_id", [row["id"]] if each is kind else [], dtype=pl.Int64) for each in EXPLAINABLE_KINDS
    }
    frame = plan.roster.get(kind) if plan else None
    planned = frame.filter(pl.col("live_id") == row["id"]).to_dicts() if frame is not None else []
    return Explanation(
        customer=customer,
        kind=kind,
        key=row["sourced_id"] or row.get("username") or str(row["id"]),
        label=_format_label(kind, row),
        live=row,
        record=record,
        runs=runs,
        identities=store_read.list_account_identities(reader.connection, row["id"]) if kind is Kind.USER else (),
        communities=store_read.list_account_communities(reader.connection, row["id"]) if kind is Kind.USER else (),
        impact=_describe_impact(kind, count_impact(reader, explained.number, live, ids)),
        protections=_explain_protection(workspace, customer, kind, row, live),
        planned_change=planned[0] if planned else None,
        plan=plan,
        roster=_describe_roster(plan),
        diagnostics=_select_diagnostics(plan, row["sourced_id"]),
    )


def _format_label(kind: Kind, row: Mapping[str, Any]) -> str:
    if kind is Kind.USER:
        return " ".join(part for part in (row["given_name"], row["family_name"]) if part)
    return str(row["name" if kind is Kind.ORG else "title"] or "")


def _describe_impact(kind: Kind, impact: Impact) -> Mapping[str, object]:
    frame = {Kind.USER: impact.people, Kind.CLASS: impact.classes, Kind.ORG: impact.orgs}[kind]
    rows = frame.drop("id").to_dicts()
    return {name: value for name, value in rows[0].items() if value is not None} if rows else {}


def _explain_protection(
    workspace: Workspace, customer: CustomerId, kind: Kind, row: Mapping[str, Any], live: LiveRoster
) -> tuple[str, ...]:
    if kind is not Kind.USER or row["tombstoned"]:
        return ()
    reasons = []
    if row["managed_by"] != AccountManager.ROSTER.value:
        reasons.append(f"A roster never removes this account: {row['managed_by'].replace('_', ' ')} manages it.")
    roles = live.roles.filter(pl.col("account_id") == row["id"])["role"].to_list()
    if any(role in {each.value for each in ADMINISTRATOR_ROLES} for role in (row["role"], *roles)):
        reasons.append("A roster never removes an administrator.")
    resolved = workspace.repository.customers.get(customer)
    rostering = resolved.customer.rostering if resolved else None
    if isinstance(rostering, OneRosterRostering):
        if row["sourced_id"] in rostering.protect:
            reasons.append("A roster never removes this sourcedId: it is listed under `protect`.")
        if rostering.missing != "delete":
            reasons.append(f"`missing` is {rostering.missing}, so people missing from the roster are not removed.")
    return tuple(reasons)


def _describe_roster(plan: CustomerPlan | None) -> str:
    if plan is None:
        return ""
    if plan.source is None:
        return "no roster"
    return f"{plan.source.type} {plan.source.name} of {plan.source.fetched_at}"


def _select_diagnostics(plan: CustomerPlan | None, key: str | None) -> tuple[Diagnostic, ...]:
    """Return the diagnostics of a plan that was not made, or those that name the row."""
    if plan is None:
        return ()
    if plan.outcome in (Outcome.REFUSED, Outcome.FAILED):
        return plan.diagnostics
    return tuple(each for each in plan.diagnostics if key is not None and f'"{key}"' in each.message)


def _describe_unknown_key(customer: CustomerId, key: str) -> Diagnostic:
    return build_error(
        "unknown-key",
        f"nothing in {customer} has this key",
        Span(key) if key.startswith(PSEUDONYM) else None,
        "Give a sourcedId, a username, a pseudonym (P-…), or KIND:sourcedId with user, class or org.",
    )
