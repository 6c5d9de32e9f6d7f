"""One planned change: a closed union of frozen values.

Changes of declared kinds are made as these values; of roster kinds only the rows that a report shows become
values, all others stay rows of a frame. A report matches on the union with `assert_never`, so that a new
kind of change which a report forgot does not type-check.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias

from reconciler.model.cause import ChangeCause
from reconciler.model.diagnostic import Span
from reconciler.model.kind import Kind
from reconciler.model.reason import Reason


class Action(StrEnum):
    """In the order of every report: what takes something away comes first."""

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
    """One value before and after. `path` is dotted (`rostering.limits.users.percent`) or a column's name.

    personal: a masked report shows that it changed, not from what to what. cause: known where a plan has a base.
    """

    path: str
    before: object
    after: object
    personal: bool = False
    cause: ChangeCause | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeFacts:
    """What every change says.

    key: the declared id, or a roster entity's sourcedId. label: a name for people. origin: the file and line
    that asks for it (for something missing: the file it is missing from, line 0). impact: what goes with it
    (classes, enrollments, assignments, lti_links, last_sign_in, people, ...), never a name.
    """

    kind: Kind
    key: str
    label: str
    reason: Reason
    origin: Span | None = None
    held: bool = False
    cause: ChangeCause | None = None
    impact: Mapping[str, object] = field(default_factory=dict)
    fields: tuple[FieldChange, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Create(ChangeFacts):
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class Update(ChangeFacts):
    """former_key: the declared id that it had, where it is renamed (then `id` is the first of the fields)."""

    former_key: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Delete(ChangeFacts):
    """into: the sourcedId of the account that a merged one goes into, with everything that it has."""

    into: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Restore(ChangeFacts):
    """Comes back from being deleted, with everything it had. former_key: as in Update."""

    former_key: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rekey(ChangeFacts):
    """The same person under a new sourcedId (`key`); the account keeps all it has.

    same: fields that tell who somebody is, set and equal before and after.
    """

    former_key: str
    same: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Adopt(ChangeFacts):
    """A roster row binds to an account that something else made. `same` as in Rekey."""

    manager: str
    same: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspend(ChangeFacts):
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class Resume(ChangeFacts):
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class Conclude(ChangeFacts):
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class Move(ChangeFacts):
    pass


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


def get_former_key(change: Change) -> str | None:
    """The id that a declared thing had before, where it is renamed."""
    return change.former_key if isinstance(change, Update | Restore) else None
