"""Settings that would protect people less than they do: found by comparing what holds with what is to hold.

A stricter value is no weakening, and neither is what comes with a new document. A list of exceptions counts by its
entries: one more, one that lasts longer or reaches further.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from reconciler.config.fields.values import duration_of
from reconciler.model.diagnostic import Span
from reconciler.model.kind import Kind
from reconciler.model.weakening import Protection, Weakening

Document = Mapping[str, Any]
Origins = Mapping[str, Span]
Found = tuple[Protection, str, object, object]

_HARSHER = ("keep", "suspend", "delete")
#: Where a password or key is sent, by the type of sync; what is enough of it to know a first server by; and which of
#: the customer's secrets is sent.
_DESTINATION = ("type", "host", "port", "host_key", "url", "token_url", "path")
_FIRST = ("host", "url", "token_url")
_SENT = ("password", "private_key", "secret_key")


def weakened(kind: Kind, key: str, before: Document, after: Document, origins: Origins) -> tuple[Weakening, ...]:
    """before, after: one document as it holds and as it is to hold (`config.document`)."""
    match kind:
        case Kind.CUSTOMER:
            found = _customer(before, after)
        case Kind.COMMUNITY:
            found = _community(before, after)
        case _:
            return ()
    return _in_order(found, kind, key, origins)


def settings_weakened(before: Document, after: Document, origins: Origins) -> tuple[Weakening, ...]:
    """What reconciler.yaml grants more of: `policy` and `network`; and where it sends what an environment keeps."""
    found = [*_ceilings(_part(before, "policy", "limits"), _part(after, "policy", "limits"))]
    earlier, later = _items(before, "network", "allow"), _items(after, "network", "allow")
    if set(later) - set(earlier):
        found.append((Protection.NETWORK, "network.allow", earlier, later))
    for name, was in _part(before, "environments").items():
        now = _part(after, "environments", name)
        # A store's address may hold a password.
        found += [
            (Protection.CREDENTIALS, f"environments.{name}.{part}", "(as before)", "(changed)")
            for part in ("store", "secrets", "mail")
            if now and now.get(part) != was.get(part)
        ]
    return _in_order(found, None, "reconciler.yaml", origins)


def _in_order(found: Iterable[Found], kind: Kind | None, key: str, origins: Origins) -> tuple[Weakening, ...]:
    order = list(Protection)
    return tuple(
        Weakening(protection, kind, key, path, was, is_now, _origin(path, origins))
        for protection, path, was, is_now in sorted(found, key=lambda each: (order.index(each[0]), each[1]))
    )


def _customer(before: Document, after: Document) -> Iterator[Found]:
    yield from _agreements(_part(before, "agreements"), _part(after, "agreements"))
    earlier, later = _part(before, "rostering"), _part(after, "rostering")
    yield from _destinations(_part(earlier, "sync"), _part(later, "sync"))
    if earlier.get("type") != "oneroster" or later.get("type") != "oneroster":
        return
    yield from _limits(_part(earlier, "limits"), _part(later, "limits"))
    yield from _exceptions(Protection.GATE, "allow", earlier, later, ("gate",), ())
    yield from _exceptions(Protection.APPROVAL, "approvals", earlier, later, (), ("people",))
    if set(_items(earlier, "protect")) - set(_items(later, "protect")):
        yield Protection.PROTECT, "rostering.protect", _items(earlier, "protect"), _items(later, "protect")
    was, now = earlier.get("missing", "delete"), later.get("missing", "delete")
    if was in _HARSHER and now in _HARSHER and _HARSHER.index(now) > _HARSHER.index(was):
        yield Protection.MISSING, "rostering.missing", was, now
    yield from _selection(_part(earlier, "select"), _part(later, "select"))
    for name in ("match_with", "client_partner_id"):
        if earlier.get(name) != later.get(name):
            yield Protection.MATCH_WITH, f"rostering.{name}", earlier.get(name), later.get(name)
    yield from _calendar(_items(earlier, "calendar"), _items(later, "calendar"))
    if duration_of(later["retention"]) < duration_of(earlier["retention"]):
        yield Protection.RETENTION, "rostering.retention", earlier["retention"], later["retention"]


def _community(before: Document, after: Document) -> Iterator[Found]:
    was, now = (bool(_part(each, "lti").get("auto_provisioning")) for each in (before, after))
    if now and not was:
        yield Protection.AUTO_PROVISIONING, "lti.auto_provisioning", was, now


def _agreements(before: Document, after: Document) -> Iterator[Found]:
    """Days are text, so that the earlier one is the smaller."""
    for name, day in before.items():
        now = after.get(name)
        if now is None or str(now) < str(day):
            yield Protection.AGREEMENTS, f"agreements.{name}", day, now


def _limits(before: Document, after: Document) -> Iterator[Found]:
    for name, was in before.items():
        now = after.get(name)
        if isinstance(was, Mapping) and isinstance(now, Mapping):
            for part, value in was.items():
                if now.get(part, value) > value:
                    yield Protection.LIMIT, f"rostering.limits.{name}.{part}", value, now[part]
        elif name == "window" and duration_of(str(now)) < duration_of(str(was)):
            yield Protection.LIMIT, "rostering.limits.window", was, now


def _ceilings(before: Document, after: Document) -> Iterator[Found]:
    """A ceiling that is taken away grants everything."""
    for name, was in before.items():
        now = after.get(name)
        if isinstance(was, Mapping):
            for part, value in was.items():
                later = now.get(part) if isinstance(now, Mapping) else None
                if later is None or later > value:
                    yield Protection.LIMIT, f"policy.limits.{name}.{part}", value, later
        elif now is None or duration_of(now) < duration_of(was):
            yield Protection.LIMIT, f"policy.limits.{name}", was, now


def _exceptions(
    protection: Protection, name: str, before: Document, after: Document, same: tuple[str, ...], more: tuple[str, ...]
) -> Iterator[Found]:
    """An entry that no earlier one covers: of the same, as long, and as much."""
    earlier, later = _items(before, name), _items(after, name)

    def covers(old: Document, new: Document) -> bool:
        alike = all(old.get(each) == new.get(each) for each in same)
        return alike and all(old[each] >= new[each] for each in ("until", *more))

    if any(not any(covers(old, new) for old in earlier) for new in later):
        yield protection, f"rostering.{name}", earlier, later


def _selection(before: Document, after: Document) -> Iterator[Found]:
    """A list that is left out takes all."""
    for name in ("schools", "grades", "roles", "classes"):
        was, now = before.get(name), after.get(name)
        if now is not None and (was is None or set(was) - set(now)):
            yield Protection.SELECT, f"rostering.select.{name}", was, now


def _calendar(before: list[Document], after: list[Document]) -> Iterator[Found]:
    """A season that no later one covers: as long, and as strict."""

    def covers(new: Document, old: Document) -> bool:
        strict = "freeze" if new["mode"] == "freeze" else old["mode"]
        return bool(new["mode"] == strict and new["from"] <= old["from"] and new["to"] >= old["to"])

    if any(not any(covers(new, old) for new in after) for old in before):
        yield Protection.CALENDAR, "rostering.calendar", before, after


def _destinations(before: Document, after: Document) -> Iterator[Found]:
    """Where what opens the roster is sent, and which secret that is. A server that is the first one counts as another:
    it can be sent any secret of the customer's, that of the LMS too."""
    if not any(name in after for name in _SENT):
        return
    is_first = not any(name in before for name in _SENT)
    for name in (*(_FIRST if is_first else _DESTINATION), *_SENT):
        if name in after and after[name] != before.get(name):
            yield Protection.CREDENTIALS, f"rostering.sync.{name}", before.get(name), after[name]


def _part(document: Document, *names: str) -> Document:
    part: Any = document
    for name in names:
        part = part.get(name) if isinstance(part, Mapping) else None
    return part if isinstance(part, Mapping) else {}


def _items(document: Document, *names: str) -> list[Any]:
    part = _part(document, *names[:-1]).get(names[-1])
    return list(part) if isinstance(part, list | tuple) else []


def _origin(path: str, origins: Origins) -> Span | None:
    """Where the value stands, or the nearest thing above it that is written at all."""
    while path:
        if path in origins:
            return origins[path]
        path = path.rpartition(".")[0]
    return None
