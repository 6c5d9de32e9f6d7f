"""Extracts the facts of a response that the paging machine needs."""

import hashlib
import re
from collections.abc import Mapping
from urllib.parse import parse_qsl, urlsplit

import polars as pl

from reconciler.oneroster.sources.api.pages.paging import PageFacts

#: Headers with the total: the standard's, and another that some servers use.
TOTALS = ("x-total-count", "x-count")
NEXT = re.compile(r'<([^<>]*)>((?:\s*;\s*[^,;="]+(?:=(?:"[^"]*"|[^,;"]*))?)*)')
RELATION = re.compile(r';\s*rel\s*=\s*(?:"([^"]*)"|([^\s,;"]+))', re.IGNORECASE)
#: ClassLink's header: another value means that somebody changed the key's permissions.
REVISION = "x-perm-rev"
#: Maximum digits of a collection's number of rows.
MOST_DIGITS = 12
#: Characters of a revision to compare.
MOST_REVISION = 64
#: A link with only these parameters is equivalent to its offset.
PLAIN = frozenset({"limit", "offset", "sort", "orderBy", "filter", "fields"})


def extract_page_facts(keys: pl.Series, headers: Mapping[str, str]) -> PageFacts:
    """Return the facts of a page.

    keys: the sourcedIds of its rows. headers: names in lower case.
    """
    link = parse_next_link(headers.get("link", ""))
    nameless = keys.null_count() > 0
    named = (keys.fill_null("") if nameless else keys).to_list()
    return PageFacts(
        rows=len(named),
        digest=hashlib.sha256("\n".join(named).encode()).digest(),
        first=named[0] or None if named else None,
        last=named[-1] or None if named else None,
        ascending=not nameless and keys.is_sorted() and len(set(named)) == len(named),
        total=parse_total_rows(headers),
        link=link,
        link_offset=_parse_plain_offset(link) if link else None,
        revision=headers.get(REVISION, "").strip()[:MOST_REVISION] or None,
    )


def parse_total_rows(headers: Mapping[str, str]) -> int | None:
    """Return the number of rows of the whole collection, or None if no header has a number."""
    for name in TOTALS:
        said = headers.get(name, "").strip()
        if _is_number(said):
            return int(said)
    return None


def parse_next_link(header: str) -> str | None:
    """Return the target of rel=next in a Link header (RFC 8288), or None."""
    for match in NEXT.finditer(header):
        relation = RELATION.search(match[2])
        if relation and "next" in (relation[1] or relation[2] or "").lower().split():
            return match[1].strip()
    return None


def _parse_plain_offset(link: str) -> int | None:
    query = parse_qsl(urlsplit(link).query, keep_blank_values=True)
    names = [name for name, _ in query]
    offset = dict(query).get("offset", "")
    if not PLAIN.issuperset(names) or len(set(names)) < len(names) or not _is_number(offset):
        return None
    return int(offset)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= MOST_DIGITS
