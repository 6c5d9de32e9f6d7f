"""What the answers to a probe's questions say of a server, and what that means for a fetch."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from reconciler.model.diagnostic import Severity
from reconciler.oneroster.sources.api.http.errors import text
from reconciler.oneroster.sources.api.pages.facts import TOTALS
from reconciler.oneroster.sources.api.probe.question import Look, shape
from reconciler.oneroster.sources.api.records.collections import KEYS
from reconciler.oneroster.sources.interface import Finding

WARNING = Severity.WARNING
#: Properties that are days.
DAYS = ("startDate", "endDate", "beginDate")
#: What `shape` writes.
DIGITS = "9 stands for any digit"


def page_clamp(largest: Look, asked: int, page_size: int, behind: Look) -> Finding:
    """asked: rows of the largest page that was asked for. behind: one row at the offset where it ends."""
    name = "page-clamp"
    if not largest.good:
        remark = f"a page of {asked} rows is not given; page_size is {page_size}, set a smaller one if that fails too"
        return Finding(name, f"refused: {largest.outcome}", remark, WARNING)
    given = len(largest.rows)
    if given > asked:
        return Finding(name, "none", f"{asked} rows asked for, {given} given: limit is ignored", WARNING)
    if given == asked:
        return Finding(name, f"none up to {asked}", "page_size may be as large")
    if behind.rows:
        return Finding(name, str(given), f"{asked} rows asked for, {given} given; a larger page_size brings nothing")
    return Finding(name, "unknown", f"there are only {given} rows")


def limit(one: Look, three: Look) -> Finding:
    if not (one.good and three.good):
        return Finding("limit", f"refused: {(three if one.good else one).outcome}", "", WARNING)
    if len(one.rows) > 1 or len(three.rows) > 3:
        return Finding("limit", "ignored", "every page is as large as the server likes", WARNING)
    if len(three.rows) < 3:
        return Finding("limit", "unknown", "there are fewer than 3 rows")
    return Finding("limit", "honoured")


def offset(first: Look, second: Look) -> Finding:
    """One row at offset 0, and one at offset 1."""
    if not (first.good and second.good):
        return Finding("offset", f"refused: {(second if first.good else first).outcome}", "", WARNING)
    if not first.rows or not second.rows:
        return Finding("offset", "unknown", "there are fewer than 2 rows")
    if first.ids[0] == second.ids[0]:
        return Finding("offset", "ignored", "only Link leads to the next page; without it no roster is whole", WARNING)
    return Finding("offset", "honoured")


def sort(ascending: Look, descending: Look, more: bool) -> Finding:
    """By sourcedId. Whatever order of letters a server has, the two differ where it sorts. more: whether there are more
    rows than these."""
    if not (ascending.good and descending.good):
        worse = descending if ascending.good else ascending
        return Finding("sort", f"refused: {worse.outcome}", "rows may move between pages", WARNING)
    up, down = ascending.ids, descending.ids
    if len(up) < 2:
        return Finding("sort", "unknown", "there are fewer than 2 rows")
    if up == down or not any(_in_order(up, down, key) for key in (str, str.lower)):
        return Finding("sort", "ignored", "rows may move between pages; what is seen twice is fetched again", WARNING)
    if more and up == down[::-1]:
        return Finding("sort", "within a page only", "rows may move between pages", WARNING)
    return Finding("sort", "honoured")


def _in_order(up: list[str], down: list[str], key: Callable[[str], str]) -> bool:
    """In the order of bytes, or of a language."""
    return sorted(up, key=key) == up and sorted(down, key=key, reverse=True) == down


def total(page: Look) -> Finding:
    for name in TOTALS:
        if name in page.headers and page.total is not None:
            return Finding("total", name, "" if name == TOTALS[0] else f"the standard has {TOTALS[0]}")
    return Finding("total", "none", "that every row came is known by the empty page behind the last one")


def link(page: Look, followed: Look | None) -> Finding:
    """page: one behind which there is another. followed: where its next leads; None: there is none."""
    if page.next is None or followed is None:
        return Finding("link", "none", "offset leads from page to page")
    kind = "absolute" if "://" in page.next else "relative"
    if not followed.good:
        return Finding("link", f"{kind}, refused: {followed.outcome}", "a fetch that follows it is refused", WARNING)
    if followed.ids == page.ids:
        return Finding("link", f"{kind}, leads to the same page", "a fetch that follows it is refused", WARNING)
    return Finding("link", kind)


def filtering(future: Look, always: Look) -> Finding:
    """dateLastModified later than there is, and later than all there is."""
    name, use = "filter", "delta: true would do nothing"
    if not (future.good and always.good):
        worse = always if future.good else future
        return Finding(name, f"refused: {worse.outcome}", "leave delta out: only whole rosters can be fetched", WARNING)
    if future.rows:
        return Finding(name, "ignored", f"{use}: every answer is the whole", WARNING)
    if not always.rows:
        return Finding(name, "gives nothing", f"{use}: an answer without rows means nothing here", WARNING)
    return Finding(name, "honoured", "delta: true would save requests between whole rosters")


def tobedeleted(asked_for: Look, page: Look) -> Finding:
    """asked_for: by status='tobedeleted'. page: a large one without a filter."""
    seen = "tobedeleted" in [row.get("status") for row in (*asked_for.rows, *page.rows)]
    if seen:
        return Finding("tobedeleted", "sent", "people who left are named; absence counts as well")
    return Finding("tobedeleted", "not seen", "who left is only missing")


def booleans(users: Look) -> Finding:
    kinds = sorted({"JSON" if isinstance(each, bool) else "text" for each in users.values("enabledUser")})
    return Finding("booleans", " and ".join(kinds) or "unknown", "both are read")


def version(users: Look, expected: str) -> Finding:
    """By where people's roles are: `role` in 1.1, `roles` in 1.2."""
    seen = {"1.2" if "roles" in row else "1.1" for row in users.rows[:50] if "roles" in row or "role" in row}
    if not seen:
        return Finding("version", "unknown", f"the end of url says {expected}")
    if seen != {expected}:
        found = " and ".join(sorted(seen))
        return Finding("version", found, f"the end of url says {expected}: roles would not be read", WARNING)
    return Finding("version", expected)


def envelope(pages: Mapping[str, Look]) -> Finding:
    """pages: by collection. The standard's key follows the type."""
    odd = []
    severity = Severity.INFO
    for name, page in pages.items():
        if page.good and page.key != KEYS[name][0]:
            odd.append(f"{name}: {text(page.key)[:40] if page.key else 'no key' if page.key == '' else 'no list'}")
            if page.key not in KEYS[name]:
                severity = WARNING
    remark = "a fetch is refused where a list is not under its key" if severity is WARNING else ""
    return Finding("envelope", ", ".join(odd) or "as in the standard", remark, severity)


def moments(pages: Mapping[str, Look]) -> Finding:
    shapes = sorted({shape(each) for page in pages.values() for each in page.values("dateLastModified")})
    remark = DIGITS if shapes else "delta would do nothing"
    return Finding("date-last-modified", ", ".join(shapes[:5]) or "none", remark)


def days(pages: Mapping[str, Look]) -> Finding:
    """Forms of begin and end of sessions and enrollments."""
    shapes = sorted({shape(each) for page in pages.values() for each in page.values(*DAYS)})
    odd = [each for each in shapes if not each.startswith("9999-99-99")]
    remark = "other forms than YYYY-MM-DD may not be read" if odd else DIGITS if shapes else ""
    return Finding("days", ", ".join(shapes[:5]) or "none", remark, WARNING if odd else Severity.INFO)


def rows_of(name: str, page: Look, required: bool) -> Finding:
    """How much there is of a collection."""
    title = "rows-" + "".join(f"-{sign.lower()}" if sign.isupper() else sign for sign in name)
    if page.refused:
        severity = WARNING if required else Severity.INFO
        return Finding(title, f"refused: {page.outcome}", page.refused.hint or "", severity)
    if page.total is not None:
        return Finding(title, str(page.total))
    return Finding(title, f"at least {len(page.rows)}" if page.rows else "none", "its server gives no total")


def beyond(page: Look) -> Finding:
    """A page behind the last row."""
    if not page.good:
        return Finding("behind-the-end", f"refused: {page.outcome}", "a fetch needs a total to end there", WARNING)
    if page.rows:
        return Finding("behind-the-end", "rows", "offset is ignored there", WARNING)
    return Finding("behind-the-end", "an empty list")


def speed(page: Look) -> Finding:
    if not page.good or not page.rows or page.seconds <= 0:
        return Finding("speed", "unknown")
    per_second = len(page.rows) / page.seconds
    return Finding("speed", f"{per_second:.0f} rows/s", f"{page.seconds * 1000:.0f} ms for a page of {len(page.rows)}")
