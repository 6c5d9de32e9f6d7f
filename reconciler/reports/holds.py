"""List holds, the changes that are waiting for approval, as text and as JSON."""

from collections.abc import Iterable
from dataclasses import dataclass

from reconciler.model.ids import CustomerId, HoldId, Moment, PlanId
from reconciler.model.kind import Kind
from reconciler.reports.plan.json import dump_json
from reconciler.reports.plan.terminal import clean_text
from reconciler.reports.plan.wording import format_count, format_kind_count, format_moment


@dataclass(frozen=True, slots=True)
class HoldReport:
    """One customer's hold as the last apply left it."""

    id: HoldId
    customer: CustomerId
    people: int
    #: all held changes, those of people included
    rows: int
    #: ISO-8601 UTC
    since: Moment
    plan_id: PlanId
    causes: tuple[str, ...]
    #: command that approves it
    command: str
    #: command that shows its plan; None if no plan was saved
    show: str | None = None


def render_holds_json(holds: Iterable[HoldReport]) -> str:
    """Return `{holds: [{id, customer, people, rows, since, plan_id, causes, command, show}]}`, in the order given."""
    return dump_json(
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


def render_holds_text(holds: Iterable[HoldReport]) -> str:
    """Return one paragraph for each hold: its size, start, causes and the commands that review and approve it."""
    paragraphs = [
        "\n".join(
            [
                f"{hold.id}  {format_kind_count(hold.people, Kind.USER)}, "
                f"{format_count(hold.rows, 'change', 'changes')} in all, "
                f"held since {format_moment(hold.since)}",
                *(f"    {clean_text(cause)}" for cause in hold.causes),
                *([f"    To review:   {clean_text(hold.show)}"] if hold.show else []),
                f"    To approve:  {clean_text(hold.command)}",
            ]
        )
        for hold in holds
    ]
    return "\n\n".join(paragraphs) + "\n" if paragraphs else "Nothing is held.\n"
