"""Defines a planned change that the base in git does not explain: the store differs from what the base would apply."""

from dataclasses import dataclass

from reconciler.model.cause import ChangeCause
from reconciler.model.change import Action
from reconciler.model.ids import CustomerId
from reconciler.model.kind import Kind


@dataclass(frozen=True, slots=True)
class UnexplainedChange:
    """One planned change that the base does not explain."""

    customer: CustomerId
    kind: Kind
    key: str
    action: Action
    cause: ChangeCause | None
    #: dotted path of the value; None for a whole document
    path: str | None = None
    #: the base's value, if the files change it as well
    in_base: object = None
    #: the store's value
    live: object = None
    #: the files' value
    wanted: object = None
    #: True if masked reports must hide the values
    personal: bool = False
