"""Read the subscribers of a customer's notifications from the configuration last applied."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from pydantic import ValidationError

from reconciler.config.models import NotificationSettings
from reconciler.model.diagnostic import Refusal, build_warning
from reconciler.model.ids import CustomerId

UNREADABLE = "notify-unreadable"


@dataclass(frozen=True, slots=True)
class Listener:
    notify: NotificationSettings
    #: the customer's, as an IANA name
    timezone: str


def parse_listener(customer: CustomerId, document: Mapping[str, Any] | None) -> Listener:
    """Return the subscribers of a customer.

    document: of the customer, as last applied; None if it cannot be parsed. Raises Refusal `notify-unreadable`, with a
    warning, if it was made invalid outside reconciler: nobody is notified about this customer then."""
    try:
        if document is None or "id" not in document:
            raise ValueError
        timezone = str(document.get("timezone") or "UTC")
        ZoneInfo(timezone)
        return Listener(NotificationSettings.model_validate(document.get("notify") or {}), timezone)
    except (ValidationError, ValueError, LookupError, OSError):
        # The error's text is not shown, because it may contain an address or a token.
        raise Refusal(
            [
                build_warning(
                    UNREADABLE,
                    f"notify or timezone of {customer} is invalid in the store, so nobody can be notified about it",
                    hint=f"Apply the customer to correct it. See what was changed: reconciler plan {customer}",
                )
            ]
        ) from None
