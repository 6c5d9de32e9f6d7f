"""Describes defaults.yaml: the settings that every customer below its folder inherits."""

from typing import Annotated, Any, Literal, cast

from pydantic import Field, create_model

from reconciler.config.fields.values import OneOf
from reconciler.config.models.community import Community
from reconciler.config.models.customer import Customer
from reconciler.config.models.declaration import Declaration
from reconciler.config.models.partial import make_partial_model

#: keys that each customer sets for itself
NOT_INHERITED = ("kind", "id", "previously", "name", "administrators", "address")
NOT_INHERITED_BY_COMMUNITIES = ("kind", "id", "previously", "name")


_customer = make_partial_model(Customer, name="CustomerDefaults", exclude=NOT_INHERITED)
_community = make_partial_model(Community, name="CommunityDefaults", exclude=NOT_INHERITED_BY_COMMUNITIES)

#: the keys of defaults.yaml besides a customer's
_own: dict[str, Any] = {
    "kind": (Annotated[Literal["defaults"], OneOf()], Field(description="The kind of document.")),
    "community": (
        _community | None,
        Field(default=None, description="Settings that every community below inherits."),
    ),
}
Defaults = cast(
    type[Declaration],
    create_model(
        "Defaults",
        __base__=_customer,
        __doc__="Settings that every customer below this folder inherits. Omit a key to inherit it; null clears it; "
        "a list replaces the inherited list.",
        **_own,
    ),
)
