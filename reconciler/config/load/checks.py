"""Warns about keys without effect yet, old names of time zones, and passwords in store URLs."""

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

from reconciler.config.fields.values import ID_PATTERN, PORTABLE_TIMEZONE, is_known_timezone
from reconciler.config.yaml.tree import MappingNode, get_key_span, get_value_span
from reconciler.model.diagnostic import Diagnostic, build_warning

#: kind of document -> paths of keys that are validated but have no effect yet
FORTHCOMING: dict[str, tuple[tuple[str, ...], ...]] = {
    "customer": (),
    "community": (),
    "lesson": (),
    "settings": (("operators",),),
}


def warn_about_forthcoming_keys(kind: str, tree: MappingNode) -> Iterator[Diagnostic]:
    """Yield a warning for each key that is set but has no effect yet."""
    for *parents, key in FORTHCOMING[kind]:
        node = tree
        for parent in parents:
            below = node.get(parent)
            if not isinstance(below, MappingNode):
                break
            node = below
        else:
            if node.get(key):
                yield build_warning(
                    "not-yet-in-force",
                    f"{'.'.join([*parents, key])} is validated but has no effect yet",
                    get_key_span(node.places[key]),
                )


#: the present names of the time zones that people most often write by their old names
PRESENT_TIMEZONES = {
    "US/Alaska": "America/Anchorage",
    "US/Arizona": "America/Phoenix",
    "US/Central": "America/Chicago",
    "US/Eastern": "America/New_York",
    "US/Hawaii": "Pacific/Honolulu",
    "US/Mountain": "America/Denver",
    "US/Pacific": "America/Los_Angeles",
    "Canada/Atlantic": "America/Halifax",
    "Canada/Central": "America/Winnipeg",
    "Canada/Eastern": "America/Toronto",
    "Canada/Mountain": "America/Edmonton",
    "Canada/Pacific": "America/Vancouver",
    "GB": "Europe/London",
    "NZ": "Pacific/Auckland",
}


def warn_about_old_timezone(tree: MappingNode) -> Iterator[Diagnostic]:
    """Yield a warning for a time zone whose name is only on machines with the old names.

    tree: of a customer, with what it inherits; an invalid name is an error of its own."""
    name = tree.get("timezone")
    if isinstance(name, str) and is_known_timezone(name) and not PORTABLE_TIMEZONE.fullmatch(name):
        present = PRESENT_TIMEZONES.get(name)
        yield build_warning(
            "old-timezone",
            f"timezone {name} is an old name that not every machine knows",
            get_value_span(tree.places["timezone"]),
            f"Write {present}." if present else "Write the area and a city, such as America/Chicago, or UTC.",
        )


def warn_about_store_passwords(tree: MappingNode) -> Iterator[Diagnostic]:
    """Yield a warning for each store URL with a password, which everybody who can read the files can read.

    tree: of reconciler.yaml, valid or not.
    """
    environments = tree.get("environments")
    for name, environment in environments.items() if isinstance(environments, MappingNode) else ():
        store = environment.get("store") if isinstance(environment, MappingNode) else None
        if isinstance(environment, MappingNode) and isinstance(store, str) and _has_password(store):
            of = f" of {name}" if re.fullmatch(ID_PATTERN, name) else ""
            yield build_warning(
                "password-in-url",
                f"the store URL{of} contains a password",
                get_value_span(environment.places["store"]),
                "Change the password (it was in a file), and set it in PGPASSWORD, ~/.pgpass or RECONCILER_STORE.",
            )


def _has_password(url: str) -> bool:
    try:
        return bool(urlsplit(url).password)
    except ValueError:
        return False
