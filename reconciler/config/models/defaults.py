"""defaults.yaml: what every customer below it inherits."""

from __future__ import annotations

from typing import Annotated, Any, Literal, cast

from pydantic import Field, create_model

from reconciler.config.fields.values import OneOf
from reconciler.config.models.community import Community
from reconciler.config.models.customer import Customer
from reconciler.config.models.declaration import Declaration
from reconciler.config.models.partial import make_partial_model

#: what each customer says for itself
NOT_INHERITED = ("kind", "id", "previously", "name", "administrators", "address")
NOT_INHERITED_BY_COMMUNITIES = ("kind", "id", "previously", "name")


_customer = make_partial_model(Customer, name="CustomerDefaults", exclude=NOT_INHERITED)
_community = make_partial_model(Community, name="CommunityDefaults", exclude=NOT_INHERITED_BY_COMMUNITIES)

#: the same keys as a customer, none of them needed, and `community` for communities
_own: dict[str, Any] = {
    "kind": (Annotated[Literal["defaults"], OneOf()], Field(description="What the document describes.")),
    "community": (
        _community | None,
        Field(default=None, description="What every community below inherits."),
    ),
}
Defaults = cast(
    type[Declaration],
    create_model(
        "Defaults",
        __base__=_customer,
        __doc__="What every customer below this folder inherits. Absent inherits, null unsets, a list replaces.",
        **_own,
    ),
)
