"""Express numbers, times, reasons and values in plain words."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import assert_never

import orjson

from reconciler.model.change import Action, FieldChange
from reconciler.model.diagnostic import Span
from reconciler.model.ids import Moment
from reconciler.model.kind import DECLARED_KINDS, Kind
from reconciler.model.plan import Freshness, SourceSummary
from reconciler.model.reason import Reason
from reconciler.model.text_form import look_the_same, reveal_difference
from reconciler.reports.plan.terminal import clean_text, truncate_to_width

#: The sentence of a plan whose store does not exist yet.
NEW_STORE = (
    "The store does not exist yet: the first apply creates it. The IDs of this plan and its holds cannot be approved."
)

#: singular and plural of each kind
NOUNS = {
    Kind.CUSTOMER: ("customer", "customers"),
    Kind.COMMUNITY: ("community", "communities"),
    Kind.LESSON: ("lesson", "lessons"),
    Kind.ORG: ("org", "orgs"),
    Kind.USER: ("person", "people"),
    Kind.CLASS: ("class", "classes"),
    Kind.ENROLLMENT: ("enrollment", "enrollments"),
}

ACTION_PHRASES = {
    Action.DELETE: "to remove",
    Action.SUSPEND: "to suspend",
    Action.CONCLUDE: "to conclude",
    Action.REKEY: "with a new ID",
    Action.RESTORE: "to restore",
    Action.RESUME: "to reactivate",
    Action.ADOPT: "to link",
    Action.MOVE: "to move",
    Action.UPDATE: "to update",
    Action.CREATE: "to add",
}

#: singular and plural of the data that is removed with its owner
_IMPACT_NOUNS = {
    "people": ("person", "people"),
    "communities": ("community", "communities"),
    "lessons": ("lesson", "lessons"),
    "classes": ("class", "classes"),
    "enrollments": ("enrollment", "enrollments"),
    "assignments": ("assignment", "assignments"),
    "lti_links": ("LMS link", "LMS links"),
}

_MAKERS = {
    "lti": "created by an LMS launch; the roster manages it from now on",
    "join_link": "created by a join link; stays with its owner",
    "portal": "created in the portal; stays managed there",
    "config": "defined in YAML; stays managed there",
}

#: most cells of a value; the JSON has all
_LONGEST_VALUE = 60
#: characters before the first difference that are shown of two long values
_KEPT_OF_SAME = 10


def format_count(number: int, one: str, many: str) -> str:
    """Return `1 class`, `4,298 people`."""
    return f"{number:,} {one if number == 1 else many}"


def format_kind_count(number: int, kind: Kind) -> str:
    return format_count(number, *NOUNS[kind])


def format_moment(moment: Moment) -> str:
    """Format an ISO-8601 UTC time to the minute."""
    return f"{moment[:10]} {moment[11:16]} UTC"


def format_age(since: Moment, until: Moment) -> str:
    """Return the age in whole days, or in whole hours below a day."""
    hours = int((datetime.fromisoformat(until) - datetime.fromisoformat(since)).total_seconds() // 3600)
    if hours < 1:
        return "less than an hour old"
    return (
        f"{format_count(hours // 24, 'day', 'days')} old"
        if hours >= 24
        else f"{format_count(hours, 'hour', 'hours')} old"
    )


def describe_source(source: SourceSummary, now: Moment) -> list[str]:
    """Return a roster's source, its age at `now` if it is the last good one, its size, and whether it is complete."""
    kinds = (Kind.USER, Kind.CLASS, Kind.ENROLLMENT)
    rows = [format_kind_count(source.rows[kind.plural], kind) for kind in kinds if kind.plural in source.rows]
    parts = [f"{source.type} {clean_text(source.name)}".rstrip()]
    if source.freshness is Freshness.LAST:
        old = format_age(source.fetched_at, now)
        parts.append(f"last good roster, of {format_moment(source.fetched_at)}, {old}")
    parts += [", ".join(rows)] if rows else []
    return [*parts, "complete" if source.complete else "incomplete: removes nobody and nothing"]


def format_names(names: Sequence[str], most: int = 3) -> str:
    """Return the first names and the number of the rest: `a, b, c and 297 more`."""
    more = len(names) - most
    return f"{', '.join(names[:most])} and {more:,} more" if more > 0 else ", ".join(names)


def describe_reason(reason: Reason, origin: Span | None, former: str | None = None) -> str:
    """Return the reason of a change in a few words, with its origin. former: the ID before a rename."""
    if former is not None:
        renamed = f"renamed from {clean_text(former)}"
        if reason is not Reason.RENAMED:
            return f"{renamed}, {describe_reason(reason, origin)}"
        return _append_place(renamed, str(Span(origin.file, origin.line)) if origin else "")
    place = str(Span(origin.file, origin.line)) if origin else ""
    match reason:
        case Reason.ROSTER_ROW_MISSING:
            return f"not in {origin.file if origin else 'its source'}"
        case Reason.ROSTER_TOBEDELETED:
            return _append_place("tobedeleted", place)
        case Reason.ROSTER_INACTIVE:
            return _append_place("inactive", place)
        case (
            Reason.SCOPE_NARROWED
            | Reason.SESSION_ENDED
            | Reason.ROLE_ENDED
            | Reason.PARENT_REMOVED
            | Reason.ERASED
            | Reason.UNDONE
        ):
            return REASONS[reason]
        case (
            Reason.ROSTER_DISABLED
            | Reason.REMOVED_FROM_GIT
            | Reason.MERGED
            | Reason.DRIFT
            | Reason.RETURNED
            | Reason.RENAMED
            | Reason.ROLE_CHANGED
            | Reason.LOCKS_OUT
            | Reason.DUPLICATE
        ):
            return _append_place(REASONS[reason], place)
        case Reason.NEW | Reason.FIELD_CHANGED | Reason.KEY_CHANGED | Reason.ADOPTED:
            return place
        case _:
            assert_never(reason)


#: reasons without the origin, for reports that have a column for it
REASONS = {
    Reason.NEW: "new",
    Reason.FIELD_CHANGED: "changed in the source",
    Reason.ROLE_CHANGED: "role changed",
    Reason.RETURNED: "returned",
    Reason.KEY_CHANGED: "new sourcedId",
    Reason.ADOPTED: "existing account",
    Reason.ROSTER_ROW_MISSING: "not in the roster",
    Reason.ROSTER_TOBEDELETED: "marked tobedeleted",
    Reason.ROSTER_INACTIVE: "marked inactive",
    Reason.ROSTER_DISABLED: "not enabled",
    Reason.SCOPE_NARROWED: "no longer selected",
    Reason.SESSION_ENDED: "its term has ended",
    Reason.ROLE_ENDED: "their roles have ended",
    Reason.PARENT_REMOVED: "parent removed",
    Reason.REMOVED_FROM_GIT: "removed from git",
    Reason.RENAMED: "renamed",
    Reason.DRIFT: "changed manually",
    Reason.ERASED: "erased on request",
    Reason.UNDONE: "undone",
    Reason.MERGED: "merged",
    Reason.LOCKS_OUT: "locks people out",
    Reason.DUPLICATE: "repeats another one",
}


def describe_impact(kind: Kind, impact: Mapping[str, object]) -> str:
    """Return the data that is removed together with a thing, in words."""
    words = []
    for name, value in impact.items():
        if isinstance(value, bool) or not isinstance(value, int):
            continue
        if kind is Kind.USER and name == "enrollments":
            continue
        if value:
            one_and_many = _IMPACT_NOUNS.get(name, (clean_text(name).replace("_", " "),) * 2)
            words.append(format_count(value, *one_and_many))
        elif kind is Kind.USER and name == "classes":
            words.append("no class")
    if kind is Kind.USER and impact:
        last = impact.get("last_sign_in")
        words.append(f"last seen {str(last)[:10]}" if last else "never signed in")
    return ", ".join(words)


def describe_document_impact(kind: Kind, impact: Mapping[str, object]) -> str:
    """Return the people whom a changed document affects, in words; empty for a roster's kinds, which lose nothing."""
    return describe_impact(kind, impact) if kind in DECLARED_KINDS else ""


def describe_kept_properties(impact: Mapping[str, object]) -> str:
    """Return what an account keeps when it is linked to another row, in words."""
    links = impact.get("lti_links")
    kept = ["password"] if impact.get("password") is True else []
    if isinstance(links, int) and links:
        kept.append(format_count(links, *_IMPACT_NOUNS["lti_links"]))
    return f"keeps {', '.join(kept)}" if kept else ""


def describe_match(names: tuple[str, ...]) -> str:
    """Return why a row was matched to an existing person, in words."""
    return f"same {names[0].removeprefix('roster_')}" if names else "same person"


def describe_manager(manager: str) -> str:
    return _MAKERS.get(manager, "existing account")


def format_field_change(field: FieldChange) -> str:
    return f"{clean_text(field.path)} {format_from_to(field.before, field.after)}"


def format_from_to(before: object, after: object) -> str:
    before, after = reveal_values(before, after)
    return f"{format_value(before)} → {format_value(after)}"


def reveal_field(field: FieldChange) -> FieldChange:
    """Return a changed field whose values a reader can tell apart."""
    before, after = reveal_values(field.before, field.after)
    return field if before is field.before and after is field.after else replace(field, before=before, after=after)


def reveal_values(before: object, after: object) -> tuple[object, object]:
    """Return two values that a reader can tell apart: with code points instead of what nobody sees, and from where they
    differ if they are long. Other values stay as they are."""
    one, other = _join_items(before), _join_items(after)
    if one is None or other is None or one == other:
        return before, after
    if look_the_same(one, other):
        one, other = reveal_difference(one, other)
    elif format_value(one) != format_value(other):
        return before, after
    if format_value(one) == format_value(other):
        differing = (place for place, (a, b) in enumerate(zip(one, other, strict=False)) if a != b)
        start = max(0, next(differing, min(len(one), len(other))) - _KEPT_OF_SAME)
        one, other = f"…{one[start:]}", f"…{other[start:]}"
    return one, other


def _join_items(value: object) -> str | None:
    """Return a text, or a list of texts in one; None for other values."""
    if isinstance(value, list | tuple) and all(isinstance(each, str) for each in value):
        return ", ".join(value)
    return value if isinstance(value, str) else None


def format_value(value: object, most: int = _LONGEST_VALUE) -> str:
    """Return a value on one line, cut to `most` cells."""
    if value is None:
        return "(none)"
    if isinstance(value, str):
        return truncate_to_width(clean_text(value), most)
    if isinstance(value, list | tuple) and all(isinstance(each, str) for each in value):
        return truncate_to_width(clean_text(", ".join(value)) or "(empty)", most)
    return truncate_to_width(clean_text(orjson.dumps(value, default=str).decode()), most)


def _append_place(words: str, place: str) -> str:
    return f"{words}, {place}" if place else words
