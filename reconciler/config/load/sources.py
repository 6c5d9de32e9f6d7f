"""Finds customers whose people come from the same source, so that one would have the other's people too.

Works on documents as written, valid or not, and on those in the store.
"""

import posixpath
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from reconciler.config.yaml.tree import MappingNode, find_place, get_value_span
from reconciler.model.diagnostic import Diagnostic, Span, build_warning

#: lists of `rostering.select`; two customers that have no value of one of them in common divide the roster
_SELECTION_LISTS = ("schools", "grades", "roles", "classes")
_MOST_PLACES = 3
#: values of the place of a source: its type, then what tells it from others of that type
SourcePlace = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RosterSource:
    """The part of a customer's document that says which people are its own."""

    #: None if it is missing
    client_partner_id: str | None
    #: None for an upload
    place: SourcePlace | None
    #: the lists of `rostering.select`, by name
    selected: tuple[tuple[str, frozenset[str]], ...] = ()

    @property
    def facts(self) -> frozenset[object]:
        """Return the values of which customers with the same source have at least one in common."""
        return frozenset({self.client_partner_id, self.place} - {None})

    def is_same_as(self, other: "RosterSource") -> bool:
        """Return whether both would have exactly the same people."""
        return self.place is not None and self == other

    def find_shared_part(self, other: "RosterSource") -> str | None:
        """Return words for what both have in common, or None if they have nothing or divide the roster."""
        if self.is_divided_from(other):
            return None
        same_id = self.client_partner_id is not None and self.client_partner_id == other.client_partner_id
        same_place = self.place is not None and self.place == other.place
        if same_place and self.place is not None:
            words = _PLACE_WORDS[self.place[0]]
            return f"client_partner_id, {words}" if same_id else words
        return "client_partner_id" if same_id else None

    def is_divided_from(self, other: "RosterSource") -> bool:
        """Return whether both select parts of the roster that have nothing in common."""
        theirs = dict(other.selected)
        return any(name in theirs and not values & theirs[name] for name, values in self.selected)


_PLACE_WORDS = {"sftp": "SFTP host and path", "api": "API"}


def find_roster_source(document: Mapping[str, object]) -> RosterSource | None:
    """Return the source of a customer's document; None if it syncs no roster."""
    rostering = document.get("rostering")
    if not isinstance(rostering, Mapping) or rostering.get("type") != "oneroster":
        return None
    name, sync, select = (rostering.get(key) for key in ("client_partner_id", "sync", "select"))
    return RosterSource(
        name if isinstance(name, str) else None,
        _find_place(sync) if isinstance(sync, Mapping) else None,
        _find_selection(select) if isinstance(select, Mapping) else (),
    )


def _find_place(sync: Mapping[str, object]) -> SourcePlace | None:
    """Return the place of a source. A user of a server may have a folder of its own, and a key its own roster."""
    if sync.get("type") == "sftp":
        host, path, user = (sync.get(key) for key in ("host", "path", "username"))
        if isinstance(host, str) and isinstance(path, str):
            return ("sftp", _fold_host(host), str(sync.get("port") or 22), _normalize_path(path), str(user))
    if sync.get("type") == "api":
        url, key = sync.get("url"), sync.get("consumer_key")
        parts = _split_url(url) if isinstance(url, str) else None
        return ("api", *parts, str(key)) if parts else None
    return None


def _split_url(url: str) -> tuple[str, str, str] | None:
    try:
        parts = urlsplit(url)
        port = parts.port or (80 if parts.scheme == "http" else 443)
    except ValueError:
        return None
    return (_fold_host(parts.hostname or ""), str(port), _normalize_path(parts.path))


def _normalize_path(path: str) -> str:
    return posixpath.normpath("/" + path.lstrip("/"))


def _fold_host(host: str) -> str:
    return host.casefold().rstrip(".")


def _find_selection(select: Mapping[str, object]) -> tuple[tuple[str, frozenset[str]], ...]:
    return tuple(
        (name, frozenset(each for each in values if isinstance(each, str)))
        for name in _SELECTION_LISTS
        if isinstance(values := select.get(name), list | tuple)
    )


@dataclass(frozen=True, slots=True)
class PlacedSource:
    """A source with the place of its client_partner_id, or of `rostering` without one."""

    source: RosterSource
    span: Span


def locate_roster_source(tree: MappingNode) -> PlacedSource | None:
    """Return the source of a customer's document, valid or not; None if it syncs no roster."""
    source = find_roster_source(tree)
    if source is None:
        return None
    key = ("rostering", "client_partner_id") if source.client_partner_id is not None else ("rostering",)
    place, _, _ = find_place(tree, key)
    return PlacedSource(source, get_value_span(place))


def warn_about_shared_sources(sources: Iterable[PlacedSource | None]) -> list[list[Diagnostic]]:
    """Return, for each customer, a warning with the places of the customers that have its source too."""
    known = list(sources)
    sharers: list[dict[int, str]] = [{} for _ in known]
    by_fact: dict[object, list[int]] = defaultdict(list)
    for number, each in enumerate(known):
        for fact in each.source.facts if each else ():
            by_fact[fact].append(number)
    for numbers in by_fact.values():
        for number in numbers:
            sharers[number] |= _list_sharers(known, number, numbers)
    return [_build_warnings(known, each, own) for each, own in zip(known, sharers, strict=True)]


def _list_sharers(known: list[PlacedSource | None], number: int, numbers: Iterable[int]) -> dict[int, str]:
    """Return what the customer shares with others, by their numbers; one more than are shown is enough."""
    mine = known[number]
    found: dict[int, str] = {}
    for other in numbers:
        if len(found) > _MOST_PLACES:
            break
        theirs = known[other]
        if other != number and mine and theirs and (words := mine.source.find_shared_part(theirs.source)):
            found[other] = words
    return found


def _build_warnings(
    known: list[PlacedSource | None], mine: PlacedSource | None, sharers: Mapping[int, str]
) -> list[Diagnostic]:
    by_words: dict[str, list[Span]] = defaultdict(list)
    for number, words in sorted(sharers.items()):
        other = known[number]
        if other is not None:
            by_words[words].append(other.span)
    return [
        build_warning(
            "source-shared",
            f"{_join_places(spans)} {'has' if len(spans) == 1 else 'have'} the same {words}",
            mine.span if mine else None,
            _HINTS.get(words, "Both would have the same people. Correct the copy, or divide the roster with select."),
        )
        for words, spans in by_words.items()
    ]


_HINTS = dict.fromkeys(
    _PLACE_WORDS.values(),
    "That is right for a roster of several institutions. Check that each client_partner_id is the customer's own.",
)


def _join_places(spans: list[Span]) -> str:
    shown = [str(span) for span in spans[:_MOST_PLACES]]
    if len(spans) > _MOST_PLACES:
        shown.append("others")
    return f"{', '.join(shown[:-1])} and {shown[-1]}" if len(shown) > 1 else shown[0]
