"""Read the configuration that was last applied, one customer at a time, and keep it until somebody changes it."""

import logging
import threading
from collections import OrderedDict
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from reconciler.model.ids import CustomerId, CustomerNumber
from reconciler.model.moment import parse_duration
from reconciler.store.errors import StoreProblem
from reconciler.store.json_text import parse_stored_document
from reconciler.store.key import StoreKey
from reconciler.store.service.database import RequestDatabase
from reconciler.store.service.statement import build_statement

#: Customers that are kept; each takes a few kilobytes.
MAX_CUSTOMERS = 2_000
#: The path in a customer's document below which a platform's secrets are.
_PLATFORM_PATH = "lti.platforms"

_FIND_PLATFORM = build_statement(
    "SELECT p.customer_id, p.platform, coalesce(c.last_run, 0), coalesce(w.n, 0), s.catalogue_run, s.catalogue_writes"
    " FROM lti_platforms p JOIN customers c ON c.id = p.customer_id"
    " LEFT JOIN write_counters w ON w.customer_id = c.id CROSS JOIN store s"
    " WHERE p.consumer_key = :key AND p.reserved_until IS NULL AND c.tombstoned_at IS NULL"
)
_READ_VERSION = build_statement(
    "SELECT coalesce(c.last_run, 0), coalesce(w.n, 0), s.catalogue_run, s.catalogue_writes FROM customers c"
    " LEFT JOIN write_counters w ON w.customer_id = c.id CROSS JOIN store s"
    " WHERE c.id = :customer AND c.tombstoned_at IS NULL"
)
_READ_CUSTOMER = build_statement("SELECT slug, name, status, document FROM customers WHERE id = :customer")
_READ_COMMUNITIES = build_statement(
    "SELECT id, slug, name, document FROM communities WHERE customer_id = :customer AND tombstoned_at IS NULL"
)
_READ_LESSONS = build_statement(
    "SELECT id, slug, title, document, customer_id IS NULL FROM lessons"
    " WHERE (customer_id = :customer OR customer_id IS NULL) AND tombstoned_at IS NULL"
    " ORDER BY customer_id IS NULL DESC, slug"
)
_READ_SECRETS = build_statement(
    "SELECT path, ciphertext FROM secrets"
    " WHERE customer_id = :customer AND path LIKE 'lti.platforms.%' AND ciphertext IS NOT NULL"
)

#: The last run and the number of foreign writes of a customer, and those of the shared catalog: as long as these
#: numbers stay the same, so does the customer's configuration.
Version = tuple[int, ...]

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class AppliedPlatform:
    """An LMS of a customer."""

    #: the ID in YAML; with the user_id it identifies people
    id: str
    community: str | None
    #: current and, while the LMS is switched over, previous secret
    secrets: tuple[str, ...]
    #: whether a secret cannot be decrypted, so nothing that the LMS signs can be checked
    is_unreadable: bool
    origins: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AppliedCommunity:
    """A site license."""

    number: int
    id: str
    name: str
    seats: int
    #: dates `YYYY-MM-DD`, both included
    starts: str
    ends: str
    auto_provisioning: bool
    login_timeout: timedelta
    #: IDs of lessons; None for all that are the customer's own
    lessons: frozenset[str] | None

    def is_open(self, day: str) -> bool:
        """Return whether the license covers a day, `YYYY-MM-DD`."""
        return self.starts <= day <= self.ends

    def has_lesson(self, lesson: "AppliedLesson") -> bool:
        """Return whether people of the community may read a lesson of the customer or of the shared catalog."""
        return not lesson.is_shared if self.lessons is None else lesson.id in self.lessons


@dataclass(frozen=True, slots=True)
class AppliedLesson:
    """A lesson that people read at its URL."""

    number: int
    id: str
    title: str
    url: str
    #: whether it is in the shared catalog, which communities have by naming it
    is_shared: bool


@dataclass(frozen=True, slots=True)
class AppliedCustomer:
    """A customer as the last apply left it."""

    number: CustomerNumber
    id: CustomerId
    name: str
    is_active: bool
    timezone: str
    has_roster: bool
    #: whom to ask: an e-mail address or a URL
    support: str
    platforms: Mapping[str, AppliedPlatform]
    communities: Mapping[str, AppliedCommunity]
    #: shared lessons and the customer's own; its own replace shared ones of the same ID
    lessons: Mapping[str, AppliedLesson]

    def list_lessons(self, community: AppliedCommunity) -> tuple[AppliedLesson, ...]:
        """Return the lessons of a community by title."""
        chosen = (each for each in self.lessons.values() if community.has_lesson(each))
        return tuple(sorted(chosen, key=lambda each: (each.title, each.id)))

    def find_lesson(self, community: AppliedCommunity, lesson: str) -> AppliedLesson | None:
        """Return a lesson of a community, or None if it has none with this ID."""
        found = self.lessons.get(lesson)
        return found if found is not None and community.has_lesson(found) else None


class ConfigurationCache:
    """The applied configuration of the customers whose people arrived most recently.

    A customer is read again once its version differs, so that an apply counts from the next request on. Safe to use
    from several threads.
    """

    def __init__(self, database: RequestDatabase, key: StoreKey) -> None:
        self._database = database
        self._key = key
        self._kept: OrderedDict[CustomerNumber, tuple[Version, AppliedCustomer]] = OrderedDict()
        self._lock = threading.Lock()

    def find_platform(self, consumer_key: str) -> tuple[AppliedCustomer, AppliedPlatform] | None:
        """Return the platform that signs with a consumer key, or None if nobody has the key now."""
        rows = self._database.fetch(_FIND_PLATFORM, {"key": consumer_key})
        if not rows:
            return None
        number, name, *version = rows[0]
        customer = self._get_customer(number, tuple(version))
        platform = customer.platforms.get(name)
        return (customer, platform) if platform is not None else None

    def find_customer(self, number: CustomerNumber) -> AppliedCustomer | None:
        """Return a customer, or None if it was removed."""
        rows = self._database.fetch(_READ_VERSION, {"customer": number})
        return self._get_customer(number, tuple(rows[0])) if rows else None

    def _get_customer(self, number: CustomerNumber, version: Version) -> AppliedCustomer:
        with self._lock:
            kept = self._kept.get(number)
            if kept is not None and kept[0] == version:
                self._kept.move_to_end(number)
                return kept[1]
        customer = self._read_customer(number)
        with self._lock:
            self._kept[number] = (version, customer)
            self._kept.move_to_end(number)
            while len(self._kept) > MAX_CUSTOMERS:
                self._kept.popitem(last=False)
        return customer

    def _read_customer(self, number: CustomerNumber) -> AppliedCustomer:
        facts = {"customer": number}
        slug, name, status, text = self._database.fetch(_READ_CUSTOMER, facts)[0]
        document = parse_stored_document(text) or {}
        secrets = {
            path: self._decrypt(bytes(sealed), f"{slug}/{path}")
            for path, sealed in self._database.fetch(_READ_SECRETS, facts)
        }
        communities = [_parse_community(*row) for row in self._database.fetch(_READ_COMMUNITIES, facts)]
        lessons = [_parse_lesson(*row) for row in self._database.fetch(_READ_LESSONS, facts)]
        support = _get_mapping(document, "support")
        return AppliedCustomer(
            number,
            CustomerId(slug),
            name,
            status == "active",
            str(document.get("timezone") or "UTC"),
            isinstance(document.get("rostering"), Mapping),
            str(support.get("url") or support.get("email") or ""),
            {
                key: _parse_platform(key, platform, secrets)
                for key, platform in _get_mapping(_get_mapping(document, "lti"), "platforms").items()
                if isinstance(platform, Mapping)
            },
            {each.id: each for each in communities},
            {each.id: each for each in lessons},
        )

    def _decrypt(self, sealed: bytes, place: str) -> str | None:
        """Return a secret; None, and a line in the log, if the store's key was replaced since the start."""
        for key in self._key.known:
            with suppress(StoreProblem):
                return key.decrypt(sealed, place)
        _LOG.error("cannot decrypt the secret %s: restart serve with the store's present key", place)
        return None


def _get_mapping(document: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = document.get(name)
    return value if isinstance(value, Mapping) else {}


def _parse_platform(name: str, platform: Mapping[str, Any], secrets: Mapping[str, str | None]) -> AppliedPlatform:
    paths = [f"{_PLATFORM_PATH}.{name}.{part}" for part in ("shared_secret", "previous_secret")]
    found = [secrets[path] for path in paths if path in secrets]
    origins = platform.get("origins")
    return AppliedPlatform(
        name,
        platform.get("community"),
        tuple(secret for secret in found if secret),
        None in found,
        tuple(str(each) for each in origins) if isinstance(origins, list) else (),
    )


def _parse_community(number: int, slug: str, name: str, text: str) -> AppliedCommunity:
    document = parse_stored_document(text) or {}
    license_, lessons = _get_mapping(document, "site_license"), document.get("lessons", "all")
    return AppliedCommunity(
        number,
        slug,
        name,
        int(license_.get("seats") or 0),
        str(license_.get("starts") or ""),
        str(license_.get("ends") or ""),
        _get_mapping(document, "lti").get("auto_provisioning") is True,
        parse_duration(str(document.get("login_timeout") or "8h")),
        frozenset(str(each) for each in lessons) if isinstance(lessons, list) else None,
    )


def _parse_lesson(number: int, slug: str, title: str, text: str, is_shared: int) -> AppliedLesson:
    url = str((parse_stored_document(text) or {}).get("url") or "")
    return AppliedLesson(number, slug, title, url, bool(is_shared))
