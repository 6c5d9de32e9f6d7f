"""Describes a lesson: a text to read, from the shared catalog or of one customer."""

from typing import Annotated, Literal

from reconciler.config.fields.addresses import WebUrl
from reconciler.config.fields.values import Id, OneOf, Text
from reconciler.config.models.declaration import Declaration


class Lesson(Declaration):
    """A text to read, as lessons/ID.yaml declares it."""

    kind: Annotated[Literal["lesson"], OneOf()]
    """The kind of document."""
    id: Id
    """Also the file's name."""
    previously: tuple[Id, ...] = ()
    """Former IDs, for a rename instead of a removal."""
    title: Text
    """The title that people see."""
    url: WebUrl
    """The lesson's URL."""
