"""Defines a planned change as a closed union of frozen values.

Changes of declared kinds are created as these values. Changes of roster kinds stay rows of a frame, of which only the
rows that a report shows become values. A report matches on the union with `assert_never`, so that a new kind of change
which a report forgot does not type-check.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias

from reconciler.model.cause import ChangeCause
from reconciler.model.diagnostic import Span
from reconciler.model.kind import Kind
from reconciler.model.reason import Reason


class Action(StrEnum):
    """An action of a plan. The order is that of every report: what takes something away comes first."""

    DELETE = "delete"
    SUSPEND = "suspend"
    CONCLUDE = "conclude"
    REKEY = "rekey"
    RESTORE = "restore"
    RESUME = "resume"
    ADOPT = "adopt"
    MOVE = "move"
    UPDATE = "update"
    CREATE = "create"


ACTION_ORDER = {action: place for place, action in enumerate(Action)}


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One field before and after a change."""

    #: dotted path in the document (`rostering.limits.users.percent`), or the name of a roster column
    path: str
    before: object
    after: object
    #: True if masked reports must hide both values
    personal: bool = False
    #: None if the plan has no base
    cause: ChangeCause | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeFacts:
    """The fields that every change has."""

    kind: Kind
    #: the declared ID, or the sourcedId of a roster entity
    key: str
    #: a name for people
    label: str
    reason: Reason
    #: the file and line that ask for the change; for a missing thing, the file it is missing from, line 0
    origin: Span | None = None
    #: True while the change waits for approval
    held: bool = False
    #: None if the plan has no base
    cause: ChangeCause | None = None
    #: what is also affected (classes, enrollments, assignments, lti_links, last_sign_in, people, …); never a name
    impact: Mapping[str, object] = field(default_factory=dict)
    fields: tuple[FieldChange, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Create(ChangeFacts):
    """A thing is new."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Update(ChangeFacts):
    """Fields of a thing change."""

    #: the declared ID before a rename (then `id` is the first of the fields); None if it is not renamed
    former_key: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Delete(ChangeFacts):
    """A thing is removed."""

    #: sourcedId of the account that a merged account goes into, with everything it has; None if it is not merged
    into: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Restore(ChangeFacts):
    """A deleted thing returns with everything it had."""

    #: the declared ID before a rename; None if it is not renamed
    former_key: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rekey(ChangeFacts):
    """The same person gets a new sourcedId (`key`); the account keeps everything it has."""

    former_key: str
    #: identifying fields that are set and equal before and after
    same: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Adopt(ChangeFacts):
    """A roster row is linked to an existing account that something else created."""

    #: the manager of the account before
    manager: str
    #: identifying fields that are set and equal in the row and the account
    same: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspend(ChangeFacts):
    """A person can no longer sign in; the account stays."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resume(ChangeFacts):
    """A suspended person can sign in again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Conclude(ChangeFacts):
    """A class or enrollment ends with its term."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Move(ChangeFacts):
    """A thing moves to another parent."""


Change: TypeAlias = Create | Update | Delete | Restore | Rekey | Adopt | Suspend | Resume | Conclude | Move

ACTION_OF: dict[type[ChangeFacts], Action] = {
    Delete: Action.DELETE,
    Suspend: Action.SUSPEND,
    Conclude: Action.CONCLUDE,
    Rekey: Action.REKEY,
    Restore: Action.RESTORE,
    Resume: Action.RESUME,
    Adopt: Action.ADOPT,
    Move: Action.MOVE,
    Update: Action.UPDATE,
    Create: Action.CREATE,
}


def get_action(change: Change) -> Action:
    return ACTION_OF[type(change)]


def count_affected_people(change: Change) -> int:
    """Return the number of people in a document change's impact."""
    people = change.impact.get("people", 0)
    return people if isinstance(people, int) else 0


def get_former_key(change: Change) -> str | None:
    """Return the declared ID before a rename, or None if the thing is not renamed."""
    return change.former_key if isinstance(change, Update | Restore) else None
