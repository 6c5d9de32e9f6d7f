"""A lesson: something to read, of the shared catalogue or of one customer."""

from __future__ import annotations

from typing import Annotated, Literal

from reconciler.config.fields.addresses import WebUrl
from reconciler.config.fields.values import Id, OneOf, Text
from reconciler.config.models.declaration import Declaration


class Lesson(Declaration):
    """Something to read, as lessons/ID.yaml says it."""

    kind: Annotated[Literal["lesson"], OneOf()]
    """What the document describes."""
    id: Id
    """Also the file's name."""
    previously: tuple[Id, ...] = ()
    """Former ids: a rename, not a removal."""
    title: Text
    """What people see."""
    url: WebUrl
    """Where it is."""
