"""Finds settings that protect people less than before, by comparing a document with the one last applied.

A stricter value is no weakening, and neither are the values of a new document. A list of exceptions is weaker if it has
one more entry, or one that lasts longer or covers more.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from reconciler.model.diagnostic import Span
from reconciler.model.kind import Kind
from reconciler.model.moment import parse_duration
from reconciler.model.weakening import Protection, Weakening
from reconciler.planning.documents.document_diff import find_nearest_span
from reconciler.planning.documents.lockouts import list_narrowed_members

SettingsDocument = Mapping[str, Any]
OriginSpans = Mapping[str, Span]
RawWeakening = tuple[Protection, str, object, object]

_MISSING_BY_HARSHNESS = ("keep", "suspend", "delete")
#: Keys of `sync` that decide where a password or key is sent.
_DESTINATION_KEYS = ("type", "host", "port", "host_key", "url", "token_url", "path")
#: Those of them that are enough to show a first server.
_FIRST_SERVER_KEYS = ("host", "url", "token_url")
#: Keys of `sync` that name the customer's secret that is sent.
_CREDENTIAL_KEYS = ("password", "private_key", "secret_key")


def find_weakenings(
    kind: Kind, key: str, before: SettingsDocument, after: SettingsDocument, origins: OriginSpans
) -> tuple[Weakening, ...]:
    """Return the weakenings between one document as last applied and as it is in the files."""
    match kind:
        case Kind.CUSTOMER:
            found = _compare_customer(before, after)
        case Kind.COMMUNITY:
            found = _compare_community(before, after)
        case Kind.LESSON:
            found = _compare_value(Protection.LESSON_URL, "url", before, after)
        case _:
            return ()
    return _sort_weakenings(found, kind, key, origins)


def find_settings_weakenings(
    before: SettingsDocument, after: SettingsDocument, origins: OriginSpans
) -> tuple[Weakening, ...]:
    """Return the weakenings of reconciler.yaml: of `policy` and `network`, and of an environment's store, secrets and
    mail server."""
    found = [*_compare_ceilings(_get_part(before, "policy", "limits"), _get_part(after, "policy", "limits"))]
    earlier, later = _get_items(before, "network", "allow"), _get_items(after, "network", "allow")
    if set(later) - set(earlier):
        found.append((Protection.NETWORK, "network.allow", earlier, later))
    for name, was in _get_part(before, "environments").items():
        now = _get_part(after, "environments", name)
        # A store's address may hold a password.
        found += [
            (Protection.CREDENTIALS, f"environments.{name}.{part}", "(as before)", "(changed)")
            for part in ("store", "secrets", "mail")
            if now and now.get(part) != was.get(part)
        ]
        found += _compare_value(Protection.CONTACT, f"environments.{name}.public_url", was, now) if now else ()
    return _sort_weakenings(found, None, "reconciler.yaml", origins)


def _sort_weakenings(
    found: Iterable[RawWeakening], kind: Kind | None, key: str, origins: OriginSpans
) -> tuple[Weakening, ...]:
    order = list(Protection)
    return tuple(
        Weakening(protection, kind, key, path, was, is_now, find_nearest_span(path, origins))
        for protection, path, was, is_now in sorted(found, key=lambda each: (order.index(each[0]), each[1]))
    )


def _compare_customer(before: SettingsDocument, after: SettingsDocument) -> Iterator[RawWeakening]:
    yield from _compare_agreements(_get_part(before, "agreements"), _get_part(after, "agreements"))
    if before.get("status", "active") == "active" and after.get("status", "active") != "active":
        yield Protection.LOCKOUT, "status", before.get("status", "active"), after.get("status")
    yield from _compare_administrators(_get_part(before, "administrators"), _get_part(after, "administrators"))
    yield from _compare_platforms(_get_part(before, "lti", "platforms"), _get_part(after, "lti", "platforms"))
    if before.get("support") is not None:
        yield from _compare_value(Protection.CONTACT, "support", before, after)
    earlier, later = _get_part(before, "rostering"), _get_part(after, "rostering")
    yield from _compare_destinations(_get_part(earlier, "sync"), _get_part(later, "sync"))
    if earlier.get("type") != "oneroster" or later.get("type") != "oneroster":
        return
    merges = _get_items(earlier, "merges"), _get_items(later, "merges")
    if any(each not in merges[0] for each in merges[1]):
        yield Protection.MERGES, "rostering.merges", *merges
    yield from _compare_limits(_get_part(earlier, "limits"), _get_part(later, "limits"))
    yield from _compare_exceptions(Protection.GATE, "allow", earlier, later, ("gate",), ())
    yield from _compare_exceptions(Protection.APPROVAL, "approvals", earlier, later, (), ("people",))
    if set(_get_items(earlier, "protect")) - set(_get_items(later, "protect")):
        yield Protection.PROTECT, "rostering.protect", _get_items(earlier, "protect"), _get_items(later, "protect")
    was, now = earlier.get("missing", "delete"), later.get("missing", "delete")
    if (
        was in _MISSING_BY_HARSHNESS
        and now in _MISSING_BY_HARSHNESS
        and _MISSING_BY_HARSHNESS.index(now) > _MISSING_BY_HARSHNESS.index(was)
    ):
        yield Protection.MISSING, "rostering.missing", was, now
    yield from _compare_selection(_get_part(earlier, "select"), _get_part(later, "select"))
    for name in ("match_with", "client_partner_id"):
        if earlier.get(name) != later.get(name):
            yield Protection.MATCH_WITH, f"rostering.{name}", earlier.get(name), later.get(name)
    yield from _compare_calendar(_get_items(earlier, "calendar"), _get_items(later, "calendar"))
    if parse_duration(later["retention"]) < parse_duration(earlier["retention"]):
        yield Protection.RETENTION, "rostering.retention", earlier["retention"], later["retention"]


def _compare_community(before: SettingsDocument, after: SettingsDocument) -> Iterator[RawWeakening]:
    was, now = (bool(_get_part(each, "lti").get("auto_provisioning")) for each in (before, after))
    if now and not was:
        yield Protection.AUTO_PROVISIONING, "lti.auto_provisioning", was, now
    earlier, later = _get_part(before, "site_license"), _get_part(after, "site_license")
    for name in ("starts", "ends"):
        old, new = str(earlier.get(name) or ""), str(later.get(name) or "")
        if old and new and (new > old if name == "starts" else new < old):
            yield Protection.LOCKOUT, f"site_license.{name}", old, new
    for name in list_narrowed_members(before, after):
        yield (
            Protection.LOCKOUT,
            f"members.{name}",
            _get_part(before, "members").get(name),
            _get_part(after, "members").get(name),
        )
    links = _get_part(before, "join_links"), _get_part(after, "join_links")
    if links[1].keys() - links[0].keys():
        yield Protection.JOIN_LINKS, "join_links", sorted(links[0]), sorted(links[1])


def _compare_value(
    protection: Protection, path: str, before: SettingsDocument, after: SettingsDocument
) -> Iterator[RawWeakening]:
    name = path.rpartition(".")[2]
    if before.get(name) != after.get(name):
        yield protection, path, before.get(name), after.get(name)


def _compare_administrators(before: SettingsDocument, after: SettingsDocument) -> Iterator[RawWeakening]:
    for name, person in after.items():
        known = before.get(name)
        if known is None:
            yield Protection.ADMINISTRATORS, f"administrators.{name}", None, person.get("role")
            continue
        for part in ("email", "role"):
            if known.get(part) != person.get(part):
                yield Protection.ADMINISTRATORS, f"administrators.{name}.{part}", known.get(part), person.get(part)


def _compare_platforms(before: SettingsDocument, after: SettingsDocument) -> Iterator[RawWeakening]:
    """Yield LMSs that are new, or whose launches are signed or framed differently; `community` is not among these."""
    for name, platform in after.items():
        known = before.get(name)
        if known is None:
            yield Protection.LAUNCHES, f"lti.platforms.{name}.consumer_key", None, platform.get("consumer_key")
            continue
        yield from (
            (Protection.LAUNCHES, f"lti.platforms.{name}.{part}", known.get(part), platform.get(part))
            for part in ("consumer_key", "shared_secret", "previous_secret")
            if known.get(part) != platform.get(part) and platform.get(part) is not None
        )
        if set(platform.get("origins") or ()) - set(known.get("origins") or ()):
            yield Protection.LAUNCHES, f"lti.platforms.{name}.origins", known.get("origins"), platform.get("origins")


def _compare_agreements(before: SettingsDocument, after: SettingsDocument) -> Iterator[RawWeakening]:
    for name, date in before.items():
        now = after.get(name)
        if now is None or str(now) < str(date):
            yield Protection.AGREEMENTS, f"agreements.{name}", date, now


def _compare_limits(before: SettingsDocument, after: SettingsDocument) -> Iterator[RawWeakening]:
    for name, was in before.items():
        now = after.get(name)
        if isinstance(was, Mapping) and isinstance(now, Mapping):
            for part, value in was.items():
                if now.get(part, value) > value:
                    yield Protection.LIMIT, f"rostering.limits.{name}.{part}", value, now[part]
        elif name == "window" and parse_duration(str(now)) < parse_duration(str(was)):
            yield Protection.LIMIT, "rostering.limits.window", was, now


def _compare_ceilings(before: SettingsDocument, after: SettingsDocument) -> Iterator[RawWeakening]:
    """Yield the ceilings that rise or are removed: without a ceiling, every value is allowed."""
    for name, was in before.items():
        now = after.get(name)
        if isinstance(was, Mapping):
            for part, value in was.items():
                later = now.get(part) if isinstance(now, Mapping) else None
                if later is None or later > value:
                    yield Protection.LIMIT, f"policy.limits.{name}.{part}", value, later
        elif now is None or parse_duration(now) < parse_duration(was):
            yield Protection.LIMIT, f"policy.limits.{name}", was, now


def _compare_exceptions(
    protection: Protection,
    name: str,
    before: SettingsDocument,
    after: SettingsDocument,
    same: tuple[str, ...],
    more: tuple[str, ...],
) -> Iterator[RawWeakening]:
    """Yield the list if a new entry is not covered by an earlier one with the same values, as long and as large."""
    earlier, later = _get_items(before, name), _get_items(after, name)

    def covers(old: SettingsDocument, new: SettingsDocument) -> bool:
        alike = all(old.get(each) == new.get(each) for each in same)
        return alike and all(old[each] >= new[each] for each in ("until", *more))

    if any(not any(covers(old, new) for old in earlier) for new in later):
        yield protection, f"rostering.{name}", earlier, later


def _compare_selection(before: SettingsDocument, after: SettingsDocument) -> Iterator[RawWeakening]:
    """Yield the lists that select less than before; a list that is left out selects everything."""
    for name in ("schools", "grades", "roles", "classes"):
        was, now = before.get(name), after.get(name)
        if now is not None and (was is None or set(was) - set(now)):
            yield Protection.SELECT, f"rostering.select.{name}", was, now


def _compare_calendar(before: list[SettingsDocument], after: list[SettingsDocument]) -> Iterator[RawWeakening]:
    """Yield the calendar if an earlier season is not covered by a new one that is as long and as strict."""

    def covers(new: SettingsDocument, old: SettingsDocument) -> bool:
        strict = "freeze" if new["mode"] == "freeze" else old["mode"]
        return bool(new["mode"] == strict and new["from"] <= old["from"] and new["to"] >= old["to"])

    if any(not any(covers(new, old) for new in after) for old in before):
        yield Protection.CALENDAR, "rostering.calendar", before, after


def _compare_destinations(before: SettingsDocument, after: SettingsDocument) -> Iterator[RawWeakening]:
    """Yield changes of the server that gets the roster's credentials, and of the secret that is sent. A first server
    counts as a change: it could be sent any secret of the customer, even that of the LMS."""
    if not any(name in after for name in _CREDENTIAL_KEYS):
        return
    is_first = not any(name in before for name in _CREDENTIAL_KEYS)
    for name in (*(_FIRST_SERVER_KEYS if is_first else _DESTINATION_KEYS), *_CREDENTIAL_KEYS):
        if name in after and after[name] != before.get(name):
            yield Protection.CREDENTIALS, f"rostering.sync.{name}", before.get(name), after[name]


def _get_part(document: SettingsDocument, *names: str) -> SettingsDocument:
    part: Any = document
    for name in names:
        part = part.get(name) if isinstance(part, Mapping) else None
    return part if isinstance(part, Mapping) else {}


def _get_items(document: SettingsDocument, *names: str) -> list[Any]:
    part = _get_part(document, *names[:-1]).get(names[-1])
    return list(part) if isinstance(part, list | tuple) else []
