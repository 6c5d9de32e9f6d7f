"""The runs of a store, newest first, as a table and as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from reconciler.model.change import Action
from reconciler.model.kind import Kind
from reconciler.reports.cells import clean, pad, widest
from reconciler.reports.json import dumped
from reconciler.reports.wording import moment, things

DONE = {
    Action.DELETE: "removed",
    Action.SUSPEND: "suspended",
    Action.CONCLUDE: "concluded",
    Action.REKEY: "rekeyed",
    Action.RESTORE: "brought back",
    Action.RESUME: "let in again",
    Action.ADOPT: "adopted",
    Action.MOVE: "moved",
    Action.UPDATE: "updated",
    Action.CREATE: "added",
}

#: People first, as in every report.
_KINDS = (Kind.USER, *(kind for kind in Kind if kind is not Kind.USER))


@dataclass(frozen=True, slots=True)
class Run:
    """One apply. finished_at: None while it goes on. counts: by kind, then by action, what was written."""

    id: int
    customer: str
    started_at: str
    finished_at: str | None
    actor: str
    plan_id: str
    outcome: str
    counts: Mapping[str, Mapping[str, int]]


def history_json(runs: Iterable[Run]) -> str:
    """The contract's `{runs: [...]}`, in the order given."""
    return dumped(
        {
            "runs": [
                {
                    "id": run.id,
                    "customer": run.customer,
                    "started_at": run.started_at,
                    "finished_at": run.finished_at,
                    "actor": run.actor,
                    "plan_id": run.plan_id,
                    "outcome": run.outcome,
                    "counts": run.counts,
                }
                for run in runs
            ]
        }
    )


def history_text(runs: Iterable[Run]) -> str:
    """A table in the order given: run, when, customer, who, outcome, what it did."""
    rows = [
        (
            f"{run.id:,}",
            moment(run.finished_at or run.started_at),
            clean(run.customer),
            clean(run.actor),
            clean(run.outcome),
            _written(run.counts),
        )
        for run in runs
    ]
    if not rows:
        return "No runs yet: nothing has been applied to this store.\n"
    table = [("run", "when", "customer", "by", "outcome", "what"), *rows]
    widths = [widest([row[column] for row in table]) for column in range(len(table[0]))]
    return "".join(f"{_joined(row, widths)}\n" for row in table)


def _joined(row: tuple[str, ...], widths: list[int]) -> str:
    return "  ".join(pad(cell, width) for cell, width in zip(row, widths, strict=True)).rstrip()


def _written(counts: Mapping[str, Mapping[str, int]]) -> str:
    """`2 people removed, 20 added; 61 enrollments added`."""
    parts = []
    for kind in _KINDS:
        numbers = counts.get(kind.value, {})
        done = [(action, numbers[action.value]) for action in Action if numbers.get(action.value)]
        words = [
            f"{f'{number:,}' if place else things(number, kind)} {DONE[action]}"
            for place, (action, number) in enumerate(done)
        ]
        if words:
            parts.append(", ".join(words))
    return "; ".join(parts) or "nothing"
