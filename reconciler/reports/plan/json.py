"""A plan as JSON, exactly as the contract has it: the same plan gives the same bytes."""

from __future__ import annotations

from collections.abc import Mapping, Set
from typing import TypeAlias, assert_never

import orjson

from reconciler.model.change import (
    Action,
    Adopt,
    Change,
    Conclude,
    Create,
    Delete,
    FieldChange,
    Move,
    Rekey,
    Restore,
    Resume,
    Suspend,
    Update,
    action_of,
)
from reconciler.model.diagnostic import Diagnostic, Span
from reconciler.model.kind import Kind
from reconciler.model.plan import FORMAT_VERSION, Counts, CustomerPlan, Elsewhere, Hold, LimitUse, Plan, SourceSummary
from reconciler.model.roster import Manager
from reconciler.model.weakening import Weakening
from reconciler.reports.plan.people import Mask, People, View
from reconciler.reports.plan.rows import groups

Document: TypeAlias = dict[str, object]

#: The contract's order of the numbers in `summary` and `counts`.
COUNTED = (
    Action.DELETE,
    Action.SUSPEND,
    Action.RESUME,
    Action.CONCLUDE,
    Action.REKEY,
    Action.RESTORE,
    Action.ADOPT,
    Action.MOVE,
    Action.UPDATE,
    Action.CREATE,
)


def render(plan: Plan, people: People, mask: Mask, rows: int = 1000) -> str:
    """rows: how many changes to list per customer, kind and action; deletions are all listed, but for
    enrollments. Ends with a newline."""
    document: Document = {
        "format_version": FORMAT_VERSION,
        "plan_id": plan.plan_id,
        "created_at": plan.created_at,
        "tool_version": plan.tool_version,
        "store": {"id": plan.store.id, "environment": plan.store.environment},
        "base": {"ref": plan.base.ref, "commit": plan.base.commit} if plan.base else None,
        "elsewhere": _elsewhere(plan.elsewhere) if plan.elsewhere is not None else None,
        "summary": _summary(plan),
        "weakened": [_weakened(each) for each in plan.weakened],
        "customers": [_customer(each, View(people, mask, each.id), rows) for each in plan.customers],
    }
    return dumped(document)


def dumped(document: Document) -> str:
    """Indented JSON text with a newline at its end; mappings keep their order, sets are sorted."""
    return orjson.dumps(document, default=_plain, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE).decode()


def canonical(value: object) -> bytes:
    """The same bytes for the same value, whatever the order of its keys."""
    return orjson.dumps(value, default=_plain, option=orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS)


def _plain(value: object) -> object:
    """What orjson does not know: read-only mappings and sets in documents."""
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Set):
        return sorted(value)
    raise TypeError(f"no JSON for a {type(value).__name__}")


def _summary(plan: Plan) -> Document:
    each = [counts for customer in plan.customers for counts in customer.counts.values()]
    return {
        **{action.value: sum(counts[action] for counts in each) for action in COUNTED},
        "held": sum(counts.held for counts in each),
        "unchanged": sum(counts.unchanged for counts in each),
        "quarantined": sum(counts.quarantined for counts in each),
        "weakened": len(plan.weakened) + sum(len(customer.weakened) for customer in plan.customers),
    }


def _elsewhere(elsewhere: Elsewhere) -> Document:
    return {"pending": elsewhere.pending, "drifted": elsewhere.drifted, "failed": elsewhere.failed}


def _weakened(weakening: Weakening) -> Document:
    origin = weakening.origin or Span("")
    return {
        "protection": weakening.protection,
        "kind": weakening.kind,
        "key": weakening.key,
        "path": weakening.path,
        "before": weakening.before,
        "after": weakening.after,
        "file": origin.file or None,
        "line": origin.line or None,
    }


def _customer(customer: CustomerPlan, view: View, rows: int) -> Document:
    listed = groups(customer, view, rows)
    return {
        "id": customer.id,
        "outcome": customer.outcome,
        "source": _source(customer.source) if customer.source else None,
        "hold": _hold(customer.hold) if customer.hold else None,
        "would_hold": list(customer.would_hold),
        "diagnostics": [diagnostic_document(view.diagnostic(each)) for each in customer.diagnostics],
        "counts": {
            kind.value: _counts(customer.counts[kind])
            for kind in Kind
            if kind in customer.counts and _has_numbers(customer.counts[kind])
        },
        "limits": [_limit(limit) for limit in customer.limits],
        "weakened": [_weakened(view.weakening(each)) for each in customer.weakened],
        "changes": [_change(change) for group in listed for change in group.changes],
        "changes_truncated": any(group.left_out for group in listed),
    }


def _source(source: SourceSummary) -> Document:
    return {
        "type": source.type,
        "freshness": source.freshness,
        "complete": source.complete,
        "sha256": source.sha256,
        "fetched_at": source.fetched_at,
        "rows": dict(sorted(source.rows.items())),
    }


def _hold(hold: Hold) -> Document:
    return {"id": hold.id, "people": hold.people, "rows": hold.rows}


def diagnostic_document(diagnostic: Diagnostic) -> Document:
    span = diagnostic.span or Span("")
    return {
        "code": diagnostic.code,
        "severity": diagnostic.severity,
        "message": diagnostic.message,
        "file": span.file or None,
        "line": span.line or None,
        "column": span.column or None,
        "hint": diagnostic.hint,
    }


def _has_numbers(counts: Counts) -> bool:
    return bool(counts.changes or counts.unchanged or counts.quarantined or counts.held)


def _counts(counts: Counts) -> Document:
    return {
        **{action.value: counts[action] for action in COUNTED},
        "unchanged": counts.unchanged,
        "quarantined": counts.quarantined,
        "held": counts.held,
    }


def _limit(limit: LimitUse) -> Document:
    return {
        "kind": limit.kind,
        "action": limit.action,
        "scope": limit.scope,
        "seen": limit.seen,
        "allowed": limit.allowed,
        "of": limit.of,
        "exceeded": limit.exceeded,
        "name": limit.name,
        "earlier": limit.earlier,
    }


def _change(change: Change) -> Document:
    origin = change.origin
    into = {"into": change.into} if isinstance(change, Delete) and change.into else {}
    return {
        "action": action_of(change),
        "kind": change.kind,
        "key": change.key,
        "label": change.label,
        "reason": change.reason,
        **into,
        "cause": change.cause,
        "held": change.held,
        "origin": {"file": origin.file, "line": origin.line or None} if origin else None,
        "impact": {name: value for name, value in change.impact.items() if value is not None},
        "fields": [
            {"path": field.path, "before": field.before, "after": field.after, "cause": field.cause}
            for field in _all_fields(change)
        ],
    }


def _all_fields(change: Change) -> tuple[FieldChange, ...]:
    """With what the kind of change says besides: the sourcedId of a rekey, the manager of an adoption."""
    match change:
        case Rekey():
            return (FieldChange("sourced_id", change.former_key, change.key), *change.fields)
        case Adopt():
            if change.manager != Manager.LTI:
                return change.fields
            return (FieldChange("managed_by", change.manager, Manager.ROSTER.value), *change.fields)
        case Create() | Update() | Delete() | Restore() | Suspend() | Resume() | Conclude() | Move():
            return change.fields
        case _:
            assert_never(change)
