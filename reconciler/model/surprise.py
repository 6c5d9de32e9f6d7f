"""Something that a plan beside a base would do, and that the base does not explain: the store is not as it says."""

from __future__ import annotations

from dataclasses import dataclass

from reconciler.model.cause import ChangeCause
from reconciler.model.change import Action
from reconciler.model.kind import Kind


@dataclass(frozen=True, slots=True)
class UnexplainedChange:
    """One thing that the base's state does not explain. path: None for a document that comes or goes. in_base: what the
    base has, where the files change that value as well. personal: its values are not for everybody."""

    customer: str
    kind: Kind
    key: str
    action: Action
    cause: ChangeCause | None
    path: str | None = None
    in_base: object = None
    live: object = None
    wanted: object = None
    personal: bool = False
