"""One thing explained: what it is, who looks after it, what made it so, and what would become of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from reconciler.model.change import Action
from reconciler.model.diagnostic import Diagnostic
from reconciler.model.kind import Kind
from reconciler.model.reason import Reason
from reconciler.model.roster import FIELDS
from reconciler.reports.plan.json import dumped
from reconciler.reports.plan.people import HIDDEN, People, View
from reconciler.reports.plan.rows import change_of
from reconciler.reports.plan.tables import line
from reconciler.reports.plan.terminal import clean, pad
from reconciler.reports.plan.wording import TO_DO, belongings, moment

_COLUMN = 11


@dataclass(frozen=True, slots=True)
class RunFacts:
    """A run as an explanation names it."""

    id: int
    at: str
    actor: str
    plan_id: str
    git_commit: str | None


@dataclass(frozen=True, slots=True)
class Explained:
    """live: fields by name, `tombstoned`, `managed_by`. bound: (issuer, kind, subject, is it a further one). touches:
    (run, action) in order. held: the plan holds the row. outcome: the plan's, None where no plan can be made."""

    customer: str
    kind: Kind
    key: str
    label: str
    live: Mapping[str, Any]
    origin: str | None
    origin_run: int | None
    created_run: int | None
    tombstoned_at: str | None
    tombstoned_run: int | None
    concluded_at: str | None
    changed_by_hand: bool
    touches: tuple[tuple[int, str], ...]
    runs: Mapping[int, RunFacts]
    bound: tuple[tuple[str, str, str, bool], ...]
    communities: tuple[str, ...]
    goes_along: Mapping[str, object]
    spared: tuple[str, ...]
    planned: Mapping[str, Any] | None
    outcome: str | None
    roster: str
    remarks: tuple[Diagnostic, ...]


def explanation_text(found: Iterable[Explained], view: View) -> str:
    return "\n".join("\n".join(_lines(each, view)) + "\n" for each in found)


def _lines(each: Explained, view: View) -> list[str]:
    key = view.key(each.kind, each.key)
    name = view.label(each.kind, each.key, each.label)
    lines = [f"{each.kind} {clean(key)}" + (f"  {clean(name)}" if name and name != key else "")]
    lines += _beneath("is", _state(each))
    lines += _beneath("", [f"{name} {value}" for name, value in _fields(each, view)])
    lines += _beneath("known as", [_known_as(*bound, view) for bound in each.bound])
    lines += _beneath("belongs to", [f"community {slug}" for slug in each.communities])
    along = belongings(each.kind, each.goes_along)
    lines += _beneath("has", [f"{along}; it goes along where this is removed, and comes back with it"] if along else [])
    lines += _beneath("made so", _made_so(each))
    lines += _beneath("runs", [" · ".join(f"{run} {action}" for run, action in each.touches)] if each.touches else [])
    lines += _beneath("next plan", _next(each, view))
    lines += _beneath("stays", list(each.spared))
    return lines


def _state(each: Explained) -> list[str]:
    words = []
    if each.concluded_at:
        words.append(f"concluded {moment(each.concluded_at)}, with its term")
    elif each.tombstoned_at:
        words.append(f"removed {moment(each.tombstoned_at)} by run {each.tombstoned_run}, and can be brought back")
    else:
        words.append("live")
    if each.kind is Kind.USER:
        words.append(f"managed by {str(each.live['managed_by']).replace('_', ' ')}")
    if each.changed_by_hand:
        words.append("changed by hand since a run wrote it")
    return [", ".join(words)]


def _fields(each: Explained, view: View) -> list[tuple[str, str]]:
    """What is set. Personal values only where names are shown."""
    shown = []
    for field in FIELDS[each.kind]:
        value = each.live.get(field.name)
        if value is None or value == "":
            continue
        hidden = field.personal and view.people is not People.FULL
        shown.append((field.name, HIDDEN if hidden else clean(str(value).replace("\n", ", "))))
    return shown


def _known_as(issuer: str, kind: str, subject: str, further: bool, view: View) -> str:
    shown = view.key(Kind.USER, subject) if kind == "roster" else HIDDEN if view.people is not People.FULL else subject
    return f"{clean(issuer)}: {clean(shown)}" + (" (a further sourcedId of the same person)" if further else "")


def _made_so(each: Explained) -> list[str]:
    lines = []
    if each.origin_run is not None:
        lines.append(f"by {_run(each, each.origin_run)}" + (f", from {each.origin}" if each.origin else ""))
    if each.created_run is not None and each.created_run != each.origin_run:
        lines.append(f"made first by {_run(each, each.created_run)}")
    return lines or ["by no run: another hand made it"]


def _run(each: Explained, number: int) -> str:
    run = each.runs.get(number)
    if run is None:
        return f"run {number}"
    commit = f", git {run.git_commit[:12]}" if run.git_commit else ""
    return f"run {number} of {moment(run.at)}, {clean(run.actor)}, plan {run.plan_id[:19]}…{commit}"


def _next(each: Explained, view: View) -> list[str]:
    if each.outcome is None:
        return ["none: its customer is not in the files"]
    told = [f"{diagnostic.message} [{diagnostic.code}]" for diagnostic in map(view.diagnostic, each.remarks)]
    if each.outcome in ("refused", "failed"):
        return [f"{each.outcome}: nothing would change", *told]
    if each.planned is None:
        return [f"nothing, by {clean(each.roster)}", *told]
    action = Action(each.planned["action"])
    shown = line(change_of(view, each.kind, action, each.planned))
    held = ", HELD until a person approves" if shown.held else ""
    reason = Reason(each.planned["reason"])
    what = f"{TO_DO[action]}{held}: {reason.sentence} ({shown.note})" if shown.note else f"{TO_DO[action]}{held}"
    return [what, *shown.details, f"by {clean(each.roster)}", *told]


def explanation_json(found: Iterable[Explained], view: View) -> str:
    """`{things: [{customer, kind, key, label, state, managed_by, fields, identities, communities, goes_along, origin,
    runs, next, stays}]}`."""
    return dumped({"things": [_document(each, view) for each in found]})


def _document(each: Explained, view: View) -> dict[str, object]:
    return {
        "customer": each.customer,
        "kind": each.kind,
        "key": view.key(each.kind, each.key),
        "label": view.label(each.kind, each.key, each.label),
        "state": "concluded" if each.concluded_at else "removed" if each.tombstoned_at else "live",
        "removed_at": each.concluded_at or each.tombstoned_at,
        "changed_by_hand": each.changed_by_hand,
        "managed_by": each.live.get("managed_by"),
        "fields": dict(_fields(each, view)),
        "identities": [_known_as(*bound, view) for bound in each.bound],
        "communities": list(each.communities),
        "goes_along": dict(each.goes_along),
        "origin": {"file_and_line": each.origin, "run": each.origin_run, "created_run": each.created_run},
        "runs": [{"run": run, "action": action} for run, action in each.touches],
        "next": _next_document(each, view),
        "stays": list(each.spared),
    }


def _next_document(each: Explained, view: View) -> dict[str, object]:
    told = [
        {"code": diagnostic.code, "message": diagnostic.message} for diagnostic in map(view.diagnostic, each.remarks)
    ]
    planned = each.planned
    return {
        "outcome": each.outcome,
        "roster": each.roster,
        "action": planned["action"] if planned else None,
        "reason": planned["reason"] if planned else None,
        "held": bool(planned["held"]) if planned else False,
        "diagnostics": told,
    }


def _beneath(title: str, lines: list[str]) -> list[str]:
    return [f"  {pad(title if place == 0 else '', _COLUMN)}{text}" for place, text in enumerate(lines)]
