"""Write the subject and text of an email about the syncs of customers."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

from reconciler.model.kind import Kind
from reconciler.model.sync import EventKind
from reconciler.notices.notice import Notice
from reconciler.reports.plan.terminal import clean_text
from reconciler.reports.plan.wording import format_kind_count, format_moment

#: meaning of each event, for people who are not programmers
MEANINGS = {
    EventKind.HELD: "changes are waiting for approval",
    EventKind.REFUSED: "the roster was refused, and nothing was changed",
    EventKind.FAILED: "the roster could not be synced, and nothing was changed",
    EventKind.STALE: "no new roster has arrived for some time",
    EventKind.RECOVERED: "the problem is resolved",
}

#: order of events in a subject line, most important first
_ORDER = (EventKind.FAILED, EventKind.REFUSED, EventKind.HELD, EventKind.STALE, EventKind.RECOVERED)


@dataclass(frozen=True, slots=True)
class DigestEntry:
    notice: Notice
    #: whether it happened since the last digest; otherwise it is still open
    is_new: bool


def format_digest_subject(entries: Sequence[DigestEntry]) -> str:
    """Return the subject: `Springfield District: roster held`, or `Rosters: 1 failed, 2 held`."""
    events = [each.notice.event for each in entries]
    if len({each.notice.customer for each in entries}) == 1:
        kinds = ", ".join(event.value for event in _ORDER if event in events)
        return f"{clean_text(entries[0].notice.name)}: roster {kinds}"
    return "Rosters: " + ", ".join(f"{events.count(event):,} {event}" for event in _ORDER if event in events)


def render_digest_text(entries: Sequence[DigestEntry], public_url: str) -> str:
    """Return the text of the email, new notices first. entries: sorted by customer, then by time."""
    parts = []
    news = [each.notice for each in entries if each.is_new]
    still_open = [each.notice for each in entries if not each.is_new]
    if news:
        parts += _format_by_customer(news)
    if still_open:
        parts += [
            "Still open:" if news else "Nothing new. Still open:",
            *_format_by_customer(still_open),
        ]
    parts.append(f"This email contains no names. To see who is affected, run the commands above or open\n{public_url}")
    return "\n\n".join(parts) + "\n"


def _format_by_customer(notices: Iterable[Notice]) -> list[str]:
    return [
        "\n\n".join([f"{clean_text(same[0].name)} ({customer})", *(_format_notice(each) for each in same)])
        for customer, group in groupby(notices, key=lambda each: each.customer)
        for same in [list(group)]
    ]


def _format_notice(notice: Notice) -> str:
    when = format_moment(notice.at) if notice.event is EventKind.RECOVERED else f"since {format_moment(notice.since)}"
    lines = [f"  {notice.event.upper()} {when}: {MEANINGS[notice.event]}."]
    lines += [f"    {clean_text(each)}" for each in notice.sentences]
    if notice.hold is not None:
        lines.append(
            f"    {format_kind_count(notice.hold.people, Kind.USER)} would be removed (hold {notice.hold.id})."
        )
    lines.append(f"    Details:  {notice.command}")
    return "\n".join(lines)
