"""Numbers, times, reasons and values in plain words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import assert_never

import orjson

from reconciler.model.change import Action, FieldChange
from reconciler.model.diagnostic import Span
from reconciler.model.kind import Kind
from reconciler.model.plan import Freshness, SourceSummary
from reconciler.model.reason import Reason
from reconciler.reports.plan.terminal import clean, clip

#: one and many, of the kinds as people call them
NOUNS = {
    Kind.CUSTOMER: ("customer", "customers"),
    Kind.COMMUNITY: ("community", "communities"),
    Kind.LESSON: ("lesson", "lessons"),
    Kind.ORG: ("org", "orgs"),
    Kind.USER: ("person", "people"),
    Kind.CLASS: ("class", "classes"),
    Kind.ENROLLMENT: ("enrollment", "enrollments"),
}

TO_DO = {
    Action.DELETE: "to remove",
    Action.SUSPEND: "to suspend",
    Action.CONCLUDE: "to conclude",
    Action.REKEY: "to rekey",
    Action.RESTORE: "to bring back",
    Action.RESUME: "to let in again",
    Action.ADOPT: "to adopt",
    Action.MOVE: "to move",
    Action.UPDATE: "to update",
    Action.CREATE: "to add",
}

#: one and many, of what goes with a thing that is taken away
_BELONGINGS = {
    "people": ("person", "people"),
    "communities": ("community", "communities"),
    "lessons": ("lesson", "lessons"),
    "classes": ("class", "classes"),
    "enrollments": ("enrollment", "enrollments"),
    "assignments": ("assignment", "assignments"),
    "lti_links": ("LMS link", "LMS links"),
}

_MAKERS = {
    "lti": "account made by a launch; the roster manages it from now on",
    "join_link": "account made by a join link; stays its owner's",
    "portal": "account made in the portal; stays as it is managed",
    "config": "account of the configuration; stays managed by it",
}

#: More of a value than this is in the JSON only.
_LONGEST_VALUE = 60


def counted(number: int, one: str, many: str) -> str:
    """`1 class`, `4,298 people`."""
    return f"{number:,} {one if number == 1 else many}"


def things(number: int, kind: Kind) -> str:
    return counted(number, *NOUNS[kind])


def moment(time: str) -> str:
    """An ISO-8601 UTC time to the minute."""
    return f"{time[:10]} {time[11:16]} UTC"


def age(since: str, until: str) -> str:
    """Whole days, else whole hours."""
    hours = int((datetime.fromisoformat(until) - datetime.fromisoformat(since)).total_seconds() // 3600)
    if hours < 1:
        return "less than an hour old"
    return f"{counted(hours // 24, 'day', 'days')} old" if hours >= 24 else f"{counted(hours, 'hour', 'hours')} old"


def source_words(source: SourceSummary, now: str) -> list[str]:
    """What a roster was read from, how old it is at `now` where it is the last good one, its size, and last whether it
    is complete."""
    kinds = (Kind.USER, Kind.CLASS, Kind.ENROLLMENT)
    rows = [things(source.rows[kind.plural], kind) for kind in kinds if kind.plural in source.rows]
    parts = [f"{source.type} {clean(source.name)}".rstrip()]
    if source.freshness is Freshness.LAST:
        old = age(source.fetched_at, now)
        parts.append(f"last good roster, of {moment(source.fetched_at)}, {old}")
    parts += [", ".join(rows)] if rows else []
    return [*parts, "complete" if source.complete else "not complete: it removes nothing"]


def named(names: Sequence[str], most: int = 3) -> str:
    """The first few, and how many more: `a, b, c and 297 more`."""
    more = len(names) - most
    return f"{', '.join(names[:most])} and {more:,} more" if more > 0 else ", ".join(names)


def why(reason: Reason, origin: Span | None, former: str | None = None) -> str:
    """A few words that say why something changes, with the place that asks for it. former: the id before, of what is
    renamed."""
    if former is not None:
        renamed = f"renamed from {clean(former)}"
        if reason is not Reason.RENAMED:
            return f"{renamed}, {why(reason, origin)}"
        return _placed(renamed, str(Span(origin.file, origin.line)) if origin else "")
    place = str(Span(origin.file, origin.line)) if origin else ""
    file = origin.file if origin else "its source"
    match reason:
        case Reason.ROSTER_ROW_MISSING:
            return f"not in {file}"
        case Reason.ROSTER_TOBEDELETED:
            return _placed("tobedeleted", place)
        case Reason.ROSTER_DISABLED:
            return _placed("not enabled", place)
        case Reason.SCOPE_NARROWED:
            return "no longer among what is synced"
        case Reason.SESSION_ENDED:
            return "its term has ended"
        case Reason.PARENT_REMOVED:
            return "goes with what it belongs to"
        case Reason.REMOVED_FROM_GIT:
            return _placed("removed from git", place)
        case Reason.ERASED:
            return "erased on request"
        case Reason.UNDONE:
            return "taken back"
        case Reason.MERGED:
            return _placed("merged", place)
        case Reason.DRIFT:
            return _placed("changed by hand", place)
        case Reason.RETURNED:
            return _placed("back", place)
        case Reason.RENAMED:
            return _placed("renamed", place)
        case Reason.ROLE_CHANGED:
            return _placed("other role", place)
        case Reason.NEW | Reason.FIELD_CHANGED | Reason.KEY_CHANGED | Reason.ADOPTED:
            return place
        case _:
            assert_never(reason)


#: `why` without the place, for reports that have a column for it
REASONS = {
    Reason.NEW: "new",
    Reason.FIELD_CHANGED: "changed at its source",
    Reason.ROLE_CHANGED: "other role",
    Reason.RETURNED: "back",
    Reason.KEY_CHANGED: "new sourcedId",
    Reason.ADOPTED: "was there already",
    Reason.ROSTER_ROW_MISSING: "not in the roster",
    Reason.ROSTER_TOBEDELETED: "marked tobedeleted",
    Reason.ROSTER_DISABLED: "not enabled",
    Reason.SCOPE_NARROWED: "no longer among what is synced",
    Reason.SESSION_ENDED: "its term has ended",
    Reason.PARENT_REMOVED: "goes with what it belongs to",
    Reason.REMOVED_FROM_GIT: "removed from git",
    Reason.RENAMED: "renamed",
    Reason.DRIFT: "changed by hand",
    Reason.ERASED: "erased on request",
    Reason.UNDONE: "taken back",
    Reason.MERGED: "merged",
}


def belongings(kind: Kind, impact: Mapping[str, object]) -> str:
    """What goes with a thing that is taken away."""
    words = []
    for name, value in impact.items():
        if isinstance(value, bool) or not isinstance(value, int):
            continue
        if kind is Kind.USER and name == "enrollments":
            continue
        if value:
            one_and_many = _BELONGINGS.get(name, (clean(name).replace("_", " "),) * 2)
            words.append(counted(value, *one_and_many))
        elif kind is Kind.USER and name == "classes":
            words.append("no class")
    if kind is Kind.USER and impact:
        last = impact.get("last_sign_in")
        words.append(f"last seen {str(last)[:10]}" if last else "never signed in")
    return ", ".join(words)


def keeps(impact: Mapping[str, object]) -> str:
    """What an account takes along when it is bound to another row."""
    links = impact.get("lti_links")
    kept = ["password"] if impact.get("password") is True else []
    if isinstance(links, int) and links:
        kept.append(counted(links, *_BELONGINGS["lti_links"]))
    return f"keeps {', '.join(kept)}" if kept else ""


def same(names: tuple[str, ...]) -> str:
    """Why a row is taken for a person who is there already."""
    return f"same {names[0].removeprefix('roster_')}" if names else "same person"


def made_by(manager: str) -> str:
    return _MAKERS.get(manager, "account that was there already")


def before_and_after(field: FieldChange) -> str:
    return f"{clean(field.path)} {from_to(field.before, field.after)}"


def from_to(before: object, after: object) -> str:
    return f"{value(before)} → {value(after)}"


def value(given: object, most: int = _LONGEST_VALUE) -> str:
    """One line; a value of more than so many cells is cut."""
    if given is None:
        return "(none)"
    if isinstance(given, str):
        return clip(clean(given), most)
    if isinstance(given, list | tuple) and all(isinstance(each, str) for each in given):
        return clip(clean(", ".join(given)) or "(empty)", most)
    return clip(clean(orjson.dumps(given, default=str).decode()), most)


def _placed(words: str, place: str) -> str:
    return f"{words}, {place}" if place else words
