"""Why a change is planned: a closed list, each with one plain sentence."""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    NEW = "new"
    FIELD_CHANGED = "field_changed"
    ROLE_CHANGED = "role_changed"
    RETURNED = "returned"
    KEY_CHANGED = "key_changed"
    ADOPTED = "adopted"
    ROSTER_ROW_MISSING = "roster_row_missing"
    ROSTER_TOBEDELETED = "roster_tobedeleted"
    ROSTER_DISABLED = "roster_disabled"
    SCOPE_NARROWED = "scope_narrowed"
    SESSION_ENDED = "session_ended"
    PARENT_REMOVED = "parent_removed"
    REMOVED_FROM_GIT = "removed_from_git"
    RENAMED = "renamed"
    DRIFT = "drift"
    ERASED = "erased"
    UNDONE = "undone"
    MERGED = "merged"

    @property
    def sentence(self) -> str:
        """For people who are no programmers."""
        return SENTENCES[self]


SENTENCES = {
    Reason.NEW: "It is new.",
    Reason.FIELD_CHANGED: "Something about it was changed at its source.",
    Reason.ROLE_CHANGED: "The person has another role now.",
    Reason.RETURNED: "It had been removed and is back, with everything it had.",
    Reason.KEY_CHANGED: "The same person has a new number in the roster; the account is kept.",
    Reason.ADOPTED: "The account was there already; the roster looks after it from now on.",
    Reason.ROSTER_ROW_MISSING: "It is no longer in the roster file.",
    Reason.ROSTER_TOBEDELETED: "The roster marks it as to be deleted.",
    Reason.ROSTER_DISABLED: "The roster marks the person as not enabled.",
    Reason.SCOPE_NARROWED: "It is no longer among what this customer syncs.",
    Reason.SESSION_ENDED: "Its term has ended.",
    Reason.PARENT_REMOVED: "What it belongs to is removed.",
    Reason.REMOVED_FROM_GIT: "Its file was removed from the customers repository.",
    Reason.RENAMED: "It has a new name; it is the same thing.",
    Reason.DRIFT: "It was changed by hand; it goes back to what its source says.",
    Reason.ERASED: "It was erased on request.",
    Reason.UNDONE: "An earlier run is taken back; it becomes what it was before.",
    Reason.MERGED: "Two accounts are of one person; from now on one of them has what both had.",
}
