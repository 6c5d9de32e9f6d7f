"""Finds changes of documents that lock people out although nobody is removed."""

from collections.abc import Mapping
from typing import Any

from reconciler.model.kind import Kind

SettingsDocument = Mapping[str, Any]


def locks_people_out(kind: Kind, before: SettingsDocument, after: SettingsDocument, today: str) -> bool:
    """Return True if people who may sign in or use a community with `before` may not with `after`.

    today: the date in the customer's time zone."""
    if kind is Kind.CUSTOMER:
        return bool(before.get("status", "active") == "active" and after.get("status", "active") != "active")
    if kind is not Kind.COMMUNITY:
        return False
    was_open, is_open = (_is_license_open(each, today) for each in (before, after))
    return (was_open and not is_open) or bool(list_narrowed_members(before, after))


def list_narrowed_members(before: SettingsDocument, after: SettingsDocument) -> tuple[str, ...]:
    """Return the lists of `members` that select fewer people; a list that is left out selects everybody."""
    earlier, later = before.get("members") or {}, after.get("members") or {}
    return tuple(
        name
        for name in ("schools", "roles")
        if later.get(name) is not None and (earlier.get(name) is None or not set(earlier[name]) <= set(later[name]))
    )


def _is_license_open(document: SettingsDocument, today: str) -> bool:
    dates = document.get("site_license") or {}
    return str(dates.get("starts") or "") <= today <= str(dates.get("ends") or "9999")
