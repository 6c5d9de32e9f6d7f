"""Lists the reasons of planned changes, each with a plain sentence."""

from enum import StrEnum


class Reason(StrEnum):
    """The reason of a change, as plans and the store write it."""

    NEW = "new"
    FIELD_CHANGED = "field_changed"
    ROLE_CHANGED = "role_changed"
    RETURNED = "returned"
    KEY_CHANGED = "key_changed"
    ADOPTED = "adopted"
    ROSTER_ROW_MISSING = "roster_row_missing"
    ROSTER_TOBEDELETED = "roster_tobedeleted"
    ROSTER_INACTIVE = "roster_inactive"
    ROSTER_DISABLED = "roster_disabled"
    SCOPE_NARROWED = "scope_narrowed"
    SESSION_ENDED = "session_ended"
    ROLE_ENDED = "role_ended"
    PARENT_REMOVED = "parent_removed"
    REMOVED_FROM_GIT = "removed_from_git"
    RENAMED = "renamed"
    DRIFT = "drift"
    ERASED = "erased"
    UNDONE = "undone"
    MERGED = "merged"
    LOCKS_OUT = "locks_out"
    DUPLICATE = "duplicate"

    @property
    def sentence(self) -> str:
        """Return a plain sentence for school administrators."""
        return SENTENCES[self]


SENTENCES = {
    Reason.NEW: "It is new.",
    Reason.FIELD_CHANGED: "Its source changed it.",
    Reason.ROLE_CHANGED: "The person has a different role.",
    Reason.RETURNED: "It was removed before and returns with everything it had.",
    Reason.KEY_CHANGED: "The same record has a new ID in the roster; nothing that belongs to it is lost.",
    Reason.ADOPTED: "The account existed already; the roster manages it from now on.",
    Reason.ROSTER_ROW_MISSING: "It is no longer in the roster.",
    Reason.ROSTER_TOBEDELETED: "The roster marks it for deletion.",
    Reason.ROSTER_INACTIVE: "The roster marks it as inactive.",
    Reason.ROSTER_DISABLED: "The roster marks the person as not enabled.",
    Reason.SCOPE_NARROWED: "The customer's settings no longer select it.",
    Reason.SESSION_ENDED: "Its term has ended.",
    Reason.ROLE_ENDED: "Every role of the person has ended.",
    Reason.PARENT_REMOVED: "Its parent is removed.",
    Reason.REMOVED_FROM_GIT: "Its file was removed from the customers repository.",
    Reason.RENAMED: "It was renamed; everything else stays.",
    Reason.DRIFT: "It was changed outside reconciler; it is set back to the value of its source.",
    Reason.ERASED: "It was erased on request.",
    Reason.UNDONE: "An earlier run is undone.",
    Reason.MERGED: "Two accounts belong to one person; one of them now has everything that both had.",
    Reason.LOCKS_OUT: "A setting locks people out; nobody is deleted.",
    Reason.DUPLICATE: "Another enrollment has the same person, class and role.",
}
