"""Create a new invitation for an administrator, in place of one that was lost or has expired."""

from __future__ import annotations

import logging
from collections.abc import Callable

from reconciler.log import log_event
from reconciler.model.ids import CustomerId
from reconciler.operations.actor import find_actor
from reconciler.operations.apply import Invitation, build_invitation, refuse_unwritable_invitations
from reconciler.operations.workspace import Workspace
from reconciler.store.write import renew_invitation

_log = logging.getLogger(__name__)


def invite_administrator(
    workspace: Workspace,
    customer: CustomerId,
    username: str,
    hand_over: Callable[[Invitation], object],
    lock_timeout: float,
) -> Invitation:
    """Return the new invitation; earlier ones that nobody used are no longer valid.

    hand_over: called before the store is changed for good; an OSError that it raises leaves the store as it was. Raises
    Refusal."""
    made: list[Invitation] = []

    def hand_over_path(path: str) -> None:
        made.append(build_invitation(workspace, username, path))
        with refuse_unwritable_invitations(customer):
            hand_over(made[0])

    renew_invitation(workspace.store, customer, username, hand_over_path, lock_timeout)
    log_event(_log, "invite", customer=customer, actor=find_actor())
    return made[0]
