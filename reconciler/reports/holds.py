"""What waits for a person's approval, as text and as JSON."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from reconciler.model.kind import Kind
from reconciler.reports.plan.json import dumped
from reconciler.reports.plan.terminal import clean
from reconciler.reports.plan.wording import counted, moment, things


@dataclass(frozen=True, slots=True)
class Waiting:
    """One customer's hold as the last apply left it. command: the words that approve it. show: those that show a plan
    of it; None where none is kept."""

    id: str
    customer: str
    people: int
    rows: int
    since: str
    plan_id: str
    causes: tuple[str, ...]
    command: str
    show: str | None = None


def holds_json(holds: Iterable[Waiting]) -> str:
    """`{holds: [{id, customer, people, rows, since, plan_id, causes, command, show}]}`, in the order given."""
    return dumped(
        {
            "holds": [
                {
                    "id": hold.id,
                    "customer": hold.customer,
                    "people": hold.people,
                    "rows": hold.rows,
                    "since": hold.since,
                    "plan_id": hold.plan_id,
                    "causes": hold.causes,
                    "command": hold.command,
                    "show": hold.show,
                }
                for hold in holds
            ]
        }
    )


def holds_text(holds: Iterable[Waiting]) -> str:
    """One paragraph each: what, since when, why, and how to let it through."""
    paragraphs = [
        "\n".join(
            [
                f"{hold.id}  {things(hold.people, Kind.USER)}, {counted(hold.rows, 'change', 'changes')} in all, "
                f"held since {moment(hold.since)}",
                *(f"    {clean(cause)}" for cause in hold.causes),
                *([f"    To look at it:     {clean(hold.show)}"] if hold.show else []),
                f"    If that is right:  {clean(hold.command)}",
            ]
        )
        for hold in holds
    ]
    return "\n\n".join(paragraphs) + "\n" if paragraphs else "Nothing is held.\n"
