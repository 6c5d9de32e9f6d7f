"""Explain a person, class or org: its state, manager, last change and next plan, as text and as JSON."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from reconciler.model.change import Action
from reconciler.model.diagnostic import Diagnostic
from reconciler.model.ids import CustomerId, Moment, PlanId, RunId
from reconciler.model.kind import Kind
from reconciler.model.reason import Reason
from reconciler.model.roster import ROSTER_FIELDS
from reconciler.reports.plan.json import dump_json
from reconciler.reports.plan.people import HIDDEN, CustomerView, PeopleVisibility
from reconciler.reports.plan.rows import build_change
from reconciler.reports.plan.tables import build_table_line
from reconciler.reports.plan.terminal import clean_text, pad_to_width
from reconciler.reports.plan.wording import ACTION_PHRASES, describe_impact, format_moment

_COLUMN = 11


@dataclass(frozen=True, slots=True)
class RunFacts:
    id: RunId
    at: Moment
    actor: str
    plan_id: PlanId
    git_commit: str | None


@dataclass(frozen=True, slots=True)
class ExplanationReport:
    customer: CustomerId
    kind: Kind
    key: str
    label: str
    #: the row in the store: fields by name, with `tombstoned` and `managed_by`
    live: Mapping[str, Any]
    #: file and line that asked for its last change; None if unknown
    origin: str | None
    #: run of its last change; None if no run wrote it
    origin_run: RunId | None
    created_run: RunId | None
    #: ISO-8601 UTC; None unless removed
    tombstoned_at: Moment | None
    tombstoned_run: RunId | None
    #: ISO-8601 UTC; None unless its term ended
    concluded_at: Moment | None
    #: whether it was changed outside reconciler since its last run
    changed_by_hand: bool
    #: (run, action), in order
    touches: tuple[tuple[RunId, str], ...]
    runs: Mapping[RunId, RunFacts]
    #: (issuer, kind, subject, whether it is a further one of the same person)
    identities: tuple[tuple[str, str, str, bool], ...]
    communities: tuple[str, ...]
    #: counts of what is removed and restored together with it
    impact: Mapping[str, object]
    reasons_to_stay: tuple[str, ...]
    #: its row of the next plan's changes; None without a change
    change_row: Mapping[str, Any] | None
    #: of the next plan; None if no plan can be made
    outcome: str | None
    #: the roster of the next plan, in words
    roster: str
    #: diagnostics of the next plan about it
    remarks: tuple[Diagnostic, ...]


def render_explanation_text(explanations: Iterable[ExplanationReport], view: CustomerView) -> str:
    return "\n".join("\n".join(_format_lines(each, view)) + "\n" for each in explanations)


def _format_lines(each: ExplanationReport, view: CustomerView) -> list[str]:
    key = view.mask_key(each.kind, each.key)
    name = view.mask_label(each.kind, each.key, each.label)
    lines = [f"{each.kind} {clean_text(key)}" + (f"  {clean_text(name)}" if name and name != key else "")]
    lines += _indent_under_title("is", _describe_state(each))
    lines += _indent_under_title("", [f"{name} {value}" for name, value in _list_fields(each, view)])
    lines += _indent_under_title("known as", [_format_identity(*bound, view) for bound in each.identities])
    lines += _indent_under_title("belongs to", [f"community {slug}" for slug in each.communities])
    along = describe_impact(each.kind, each.impact)
    lines += _indent_under_title("has", [f"{along}; removed and restored together with it"] if along else [])
    lines += _indent_under_title("last change", _describe_origin(each))
    lines += _indent_under_title(
        "runs", [" · ".join(f"{run} {action}" for run, action in each.touches)] if each.touches else []
    )
    lines += _indent_under_title("next plan", _describe_next_plan(each, view))
    lines += _indent_under_title("stays", list(each.reasons_to_stay))
    return lines


def _describe_state(each: ExplanationReport) -> list[str]:
    words = []
    if each.concluded_at:
        words.append(f"concluded {format_moment(each.concluded_at)}, with its term")
    elif each.tombstoned_at:
        words.append(f"removed {format_moment(each.tombstoned_at)} by run {each.tombstoned_run}, and can be restored")
    else:
        words.append("active")
    if each.kind is Kind.USER:
        words.append(f"managed by {str(each.live['managed_by']).replace('_', ' ')}")
    if each.changed_by_hand:
        words.append("changed outside reconciler since the last run")
    return [", ".join(words)]


def _list_fields(each: ExplanationReport, view: CustomerView) -> list[tuple[str, str]]:
    """Return the fields that are set; personal values only if names are shown."""
    shown = []
    for field in ROSTER_FIELDS[each.kind]:
        value = each.live.get(field.name)
        if value is None or value == "":
            continue
        hidden = field.personal and view.people is not PeopleVisibility.FULL
        shown.append((field.name, HIDDEN if hidden else clean_text(str(value).replace("\n", ", "))))
    return shown


def _format_identity(issuer: str, kind: str, subject: str, is_alias: bool, view: CustomerView) -> str:
    shown = (
        view.mask_key(Kind.USER, subject)
        if kind == "roster"
        else HIDDEN
        if view.people is not PeopleVisibility.FULL
        else subject
    )
    return f"{clean_text(issuer)}: {clean_text(shown)}" + (
        " (a further sourcedId of the same person)" if is_alias else ""
    )


def _describe_origin(each: ExplanationReport) -> list[str]:
    lines = []
    if each.origin_run is not None:
        lines.append(f"by {_describe_run(each, each.origin_run)}" + (f", from {each.origin}" if each.origin else ""))
    if each.created_run is not None and each.created_run != each.origin_run:
        lines.append(f"created by {_describe_run(each, each.created_run)}")
    return lines or ["created outside reconciler"]


def _describe_run(each: ExplanationReport, number: RunId) -> str:
    run = each.runs.get(number)
    if run is None:
        return f"run {number}"
    commit = f", git {run.git_commit[:12]}" if run.git_commit else ""
    return f"run {number} of {format_moment(run.at)}, {clean_text(run.actor)}, plan {run.plan_id[:19]}…{commit}"


def _describe_next_plan(each: ExplanationReport, view: CustomerView) -> list[str]:
    if each.outcome is None:
        return ["none: the customer is not in the files"]
    remarks = [f"{diagnostic.message} [{diagnostic.code}]" for diagnostic in map(view.mask_diagnostic, each.remarks)]
    if each.outcome in ("refused", "failed"):
        return [f"{each.outcome}: nothing would change", *remarks]
    if each.change_row is None:
        return [f"no change, by {clean_text(each.roster)}", *remarks]
    action = Action(each.change_row["action"])
    shown = build_table_line(build_change(view, each.kind, action, each.change_row))
    held = ", HELD until approved" if shown.held else ""
    reason = Reason(each.change_row["reason"])
    what = (
        f"{ACTION_PHRASES[action]}{held}: {reason.sentence} ({shown.note})"
        if shown.note
        else f"{ACTION_PHRASES[action]}{held}"
    )
    return [what, *shown.details, f"by {clean_text(each.roster)}", *remarks]


def render_explanation_json(explanations: Iterable[ExplanationReport], view: CustomerView) -> str:
    """Return `{things: [{customer, kind, key, label, state, managed_by, fields, identities, communities, goes_along,
    origin, runs, next, stays}]}`."""
    return dump_json({"things": [_build_document(each, view) for each in explanations]})


def _build_document(each: ExplanationReport, view: CustomerView) -> dict[str, object]:
    return {
        "customer": each.customer,
        "kind": each.kind,
        "key": view.mask_key(each.kind, each.key),
        "label": view.mask_label(each.kind, each.key, each.label),
        "state": "concluded" if each.concluded_at else "removed" if each.tombstoned_at else "live",
        "removed_at": each.concluded_at or each.tombstoned_at,
        "changed_by_hand": each.changed_by_hand,
        "managed_by": each.live.get("managed_by"),
        "fields": dict(_list_fields(each, view)),
        "identities": [_format_identity(*bound, view) for bound in each.identities],
        "communities": list(each.communities),
        "goes_along": dict(each.impact),
        "origin": {"file_and_line": each.origin, "run": each.origin_run, "created_run": each.created_run},
        "runs": [{"run": run, "action": action} for run, action in each.touches],
        "next": _build_next_document(each, view),
        "stays": list(each.reasons_to_stay),
    }


def _build_next_document(each: ExplanationReport, view: CustomerView) -> dict[str, object]:
    diagnostics = [
        {"code": diagnostic.code, "message": diagnostic.message}
        for diagnostic in map(view.mask_diagnostic, each.remarks)
    ]
    planned = each.change_row
    return {
        "outcome": each.outcome,
        "roster": each.roster,
        "action": planned["action"] if planned else None,
        "reason": planned["reason"] if planned else None,
        "held": bool(planned["held"]) if planned else False,
        "diagnostics": diagnostics,
    }


def _indent_under_title(title: str, lines: list[str]) -> list[str]:
    return [f"  {pad_to_width(title if place == 0 else '', _COLUMN)}{text}" for place, text in enumerate(lines)]
