"""Who hears of a customer, by the configuration last applied."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from pydantic import ValidationError

from reconciler.config.models.customer import NotificationSettings
from reconciler.model.diagnostic import Refusal, build_warning

UNREADABLE = "notify-unreadable"


@dataclass(frozen=True, slots=True)
class Listener:
    """Who hears of a customer, as last applied. timezone: the customer's, of the IANA list."""

    notify: NotificationSettings
    timezone: str


def parse_listener(customer: str, document: Mapping[str, Any] | None) -> Listener:
    """document: of the customer, as last applied; None where that is none any more. Raises Refusal
    `notify-unreadable`, with a warning, where another hand changed it to what no file could say: nobody hears of this
    customer then, and of every other one they do."""
    try:
        if document is None or "id" not in document:
            raise ValueError
        timezone = str(document.get("timezone") or "UTC")
        ZoneInfo(timezone)
        return Listener(NotificationSettings.model_validate(document.get("notify") or {}), timezone)
    except (ValidationError, ValueError, LookupError, OSError):
        # What it says may be an address, or hold a token.
        raise Refusal(
            [
                build_warning(
                    UNREADABLE,
                    f"notify or timezone of {customer}, as the store has it, does not validate: nobody can be told of"
                    " this customer",
                    hint=f"`reconciler plan {customer}` shows what was changed there, and an apply writes it anew",
                )
            ]
        ) from None
