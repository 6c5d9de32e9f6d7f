"""Render a plan as JSON; the same plan gives the same bytes."""

from collections.abc import Mapping, Set
from typing import TypeAlias, assert_never

import orjson

from reconciler.model import change as changes
from reconciler.model import plan as plans
from reconciler.model.diagnostic import Diagnostic, Span
from reconciler.model.kind import Kind
from reconciler.model.roster import AccountManager
from reconciler.model.weakening import Weakening
from reconciler.reports.plan.people import CustomerView, Mask, PeopleVisibility
from reconciler.reports.plan.rows import group_changes

Document: TypeAlias = dict[str, object]

#: order of the numbers in `summary` and `counts`
COUNT_ORDER = (
    changes.Action.DELETE,
    changes.Action.SUSPEND,
    changes.Action.RESUME,
    changes.Action.CONCLUDE,
    changes.Action.REKEY,
    changes.Action.RESTORE,
    changes.Action.ADOPT,
    changes.Action.MOVE,
    changes.Action.UPDATE,
    changes.Action.CREATE,
)


def render_plan_json(plan: plans.Plan, people: PeopleVisibility, mask: Mask, rows: int = 1000) -> str:
    """Return JSON with a newline at its end.

    rows: the most changes to list per customer, kind and action; deletions are always listed, except enrollments."""
    document: Document = {
        "format_version": plans.FORMAT_VERSION,
        "plan_id": plan.plan_id,
        "created_at": plan.created_at,
        "tool_version": plan.tool_version,
        "store": {"id": plan.store.id, "environment": plan.store.environment, "new": plan.store.is_new},
        "base": _build_base(plan.base) if plan.base is not None else None,
        "elsewhere": _build_outside_base(plan.outside_base) if plan.outside_base is not None else None,
        "summary": _build_summary(plan),
        "weakened": [_build_weakening(each) for each in plan.weakenings],
        "customers": [_build_customer(each, CustomerView(people, mask, each.id), rows) for each in plan.customers],
    }
    return dump_json(document)


def dump_json(document: Document) -> str:
    """Return indented JSON with a newline at its end; mappings keep their order, sets are sorted."""
    return orjson.dumps(
        document, default=_convert_to_plain, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE
    ).decode()


def dump_canonical_json(value: object) -> bytes:
    """Return the same JSON for the same value, whatever the order of its keys."""
    return orjson.dumps(value, default=_convert_to_plain, option=orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS)


def _convert_to_plain(value: object) -> object:
    """Convert the read-only mappings and sets of documents, which orjson does not support. Raises TypeError."""
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Set):
        return sorted(value)
    raise TypeError(f"no JSON for a {type(value).__name__}")


def _build_summary(plan: plans.Plan) -> Document:
    each = [counts for customer in plan.customers for counts in customer.counts.values()]
    weakenings = [*plan.weakenings, *(one for customer in plan.customers for one in customer.weakenings)]
    return {
        **{action.value: sum(counts[action] for counts in each) for action in COUNT_ORDER},
        "held": sum(counts.held for counts in each),
        "unchanged": sum(counts.unchanged for counts in each),
        "quarantined": sum(counts.quarantined for counts in each),
        "weakened": len(weakenings),
        "access": sum(one.protection.is_access for one in weakenings),
    }


def _build_base(base: plans.GitBase) -> Document:
    return {"ref": base.ref, "commit": base.commit, "missing_commits": base.missing_commits}


def _build_outside_base(outside_base: plans.OutsideBase) -> Document:
    return {"pending": outside_base.pending, "drifted": outside_base.drifted, "failed": outside_base.failed}


def _build_weakening(weakening: Weakening) -> Document:
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


def _build_customer(customer: plans.CustomerPlan, view: CustomerView, rows: int) -> Document:
    listed = group_changes(customer, view, rows)
    return {
        "id": customer.id,
        "outcome": customer.outcome,
        "source": _build_source(customer.source) if customer.source else None,
        "hold": _build_hold(customer.hold) if customer.hold else None,
        "would_hold": list(customer.would_hold),
        "diagnostics": [build_diagnostic_document(view.mask_diagnostic(each)) for each in customer.diagnostics],
        "counts": {
            kind.value: _build_counts(customer.counts[kind])
            for kind in Kind
            if kind in customer.counts and _has_numbers(customer.counts[kind])
        },
        "limits": [_build_limit(limit) for limit in customer.limits],
        "weakened": [_build_weakening(view.mask_weakening(each)) for each in customer.weakenings],
        "changes": [_build_change(change) for group in listed for change in group.changes],
        "changes_truncated": any(group.left_out for group in listed),
    }


def _build_source(source: plans.SourceSummary) -> Document:
    return {
        "type": source.type,
        "freshness": source.freshness,
        "complete": source.complete,
        "sha256": source.sha256,
        "fetched_at": source.fetched_at,
        "rows": dict(sorted(source.rows.items())),
    }


def _build_hold(hold: plans.Hold) -> Document:
    return {"id": hold.id, "people": hold.people, "rows": hold.rows, "causes": list(hold.causes)}


def build_diagnostic_document(diagnostic: Diagnostic) -> Document:
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


def _has_numbers(counts: plans.ActionCounts) -> bool:
    return bool(counts.changes or counts.unchanged or counts.quarantined or counts.held)


def _build_counts(counts: plans.ActionCounts) -> Document:
    return {
        **{action.value: counts[action] for action in COUNT_ORDER},
        "unchanged": counts.unchanged,
        "quarantined": counts.quarantined,
        "held": counts.held,
    }


def _build_limit(limit: plans.LimitUse) -> Document:
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


def _build_change(change: changes.Change) -> Document:
    origin = change.origin
    into = {"into": change.into} if isinstance(change, changes.Delete) and change.into else {}
    return {
        "action": changes.get_action(change),
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
            for field in _list_all_fields(change)
        ],
    }


def _list_all_fields(change: changes.Change) -> tuple[changes.FieldChange, ...]:
    """Return the changed fields, with the sourcedId of a rekey and the manager of an adoption."""
    match change:
        case changes.Rekey():
            return (changes.FieldChange("sourced_id", change.former_key, change.key), *change.fields)
        case changes.Adopt():
            if change.manager != AccountManager.LTI:
                return change.fields
            return (changes.FieldChange("managed_by", change.manager, AccountManager.ROSTER.value), *change.fields)
        case (
            changes.Create()
            | changes.Update()
            | changes.Delete()
            | changes.Restore()
            | changes.Suspend()
            | changes.Resume()
            | changes.Conclude()
            | changes.Move()
        ):
            return change.fields
        case _:
            assert_never(change)
