"""Interprets a server's responses to a probe: its habits and their consequences for a fetch."""

from collections.abc import Callable, Mapping

from reconciler.model.diagnostic import Severity
from reconciler.oneroster.sources.api.http.errors import sanitize_text
from reconciler.oneroster.sources.api.pages.facts import TOTALS
from reconciler.oneroster.sources.api.probe.question import ProbeResponse, mask_digits
from reconciler.oneroster.sources.api.records.collections import PAGE_KEYS
from reconciler.oneroster.sources.interface import ProbeFinding

WARNING = Severity.WARNING
#: Properties that are dates.
DAYS = ("startDate", "endDate", "beginDate")
#: Explains the output of `mask_digits`.
DIGITS = "9 stands for any digit"


def check_page_clamp(largest: ProbeResponse, row_limit: int, page_size: int, next_page: ProbeResponse) -> ProbeFinding:
    """Report the largest page that the server returns.

    row_limit: rows requested. next_page: one row at the offset where the page ends.
    """
    name = "page-clamp"
    if not largest.good:
        remark = (
            f"the server does not send {row_limit} rows at once; if page_size {page_size} fails too, set a smaller one"
        )
        return ProbeFinding(name, f"refused: {largest.outcome}", remark, WARNING)
    given = len(largest.rows)
    if given > row_limit:
        return ProbeFinding(name, "none", f"{row_limit} rows requested, {given} sent: limit is ignored", WARNING)
    if given == row_limit:
        return ProbeFinding(name, f"none up to {row_limit}", f"page_size may be up to {row_limit}")
    if next_page.rows:
        return ProbeFinding(
            name, str(given), f"{row_limit} rows requested, {given} sent; a larger page_size has no effect"
        )
    return ProbeFinding(name, "unknown", f"there are only {given} rows")


def check_limit(page_of_one: ProbeResponse, page_of_three: ProbeResponse) -> ProbeFinding:
    if not (page_of_one.good and page_of_three.good):
        return ProbeFinding(
            "limit", f"refused: {(page_of_three if page_of_one.good else page_of_one).outcome}", "", WARNING
        )
    if len(page_of_one.rows) > 1 or len(page_of_three.rows) > 3:
        return ProbeFinding("limit", "ignored", "the server chooses the size of every page", WARNING)
    if len(page_of_three.rows) < 3:
        return ProbeFinding("limit", "unknown", "there are fewer than 3 rows")
    return ProbeFinding("limit", "honored")


def check_offset(first: ProbeResponse, second: ProbeResponse) -> ProbeFinding:
    """Report whether offset works. first, second: one row at offset 0, and one at offset 1."""
    if not (first.good and second.good):
        return ProbeFinding("offset", f"refused: {(second if first.good else first).outcome}", "", WARNING)
    if not first.rows or not second.rows:
        return ProbeFinding("offset", "unknown", "there are fewer than 2 rows")
    if first.ids[0] == second.ids[0]:
        return ProbeFinding(
            "offset", "ignored", "only Link leads to the next page; without it, no roster is complete", WARNING
        )
    return ProbeFinding("offset", "honored")


def check_sort(ascending: ProbeResponse, descending: ProbeResponse, more: bool) -> ProbeFinding:
    """Report whether the server sorts by sourcedId: then the two orders differ, whatever its collation.

    more: whether there are more rows than these.
    """
    if not (ascending.good and descending.good):
        worse = descending if ascending.good else ascending
        return ProbeFinding("sort", f"refused: {worse.outcome}", "rows may move between pages", WARNING)
    up, down = ascending.ids, descending.ids
    if len(up) < 2:
        return ProbeFinding("sort", "unknown", "there are fewer than 2 rows")
    if up == down or not any(_is_in_order(up, down, key) for key in (str, str.lower)):
        return ProbeFinding(
            "sort",
            "ignored",
            "rows may move between pages; if some arrive twice, the collection is read again",
            WARNING,
        )
    if more and up == down[::-1]:
        return ProbeFinding("sort", "within a page only", "rows may move between pages", WARNING)
    return ProbeFinding("sort", "honored")


def _is_in_order(up: list[str], down: list[str], key: Callable[[str], str]) -> bool:
    """Return whether both lists are sorted by this key."""
    return sorted(up, key=key) == up and sorted(down, key=key, reverse=True) == down


def check_total(page: ProbeResponse) -> ProbeFinding:
    for name in TOTALS:
        if name in page.headers and page.total is not None:
            return ProbeFinding("total", name, "" if name == TOTALS[0] else f"the standard requires {TOTALS[0]}")
    return ProbeFinding("total", "none", "only an empty page after the last one shows that all rows arrived")


def check_link(page: ProbeResponse, next_page: ProbeResponse | None) -> ProbeFinding:
    """Report whether next links work.

    page: one that has a successor. next_page: the target of its link; None if it has no link.
    """
    if page.next is None or next_page is None:
        return ProbeFinding("link", "none", "offset is used instead")
    kind = "absolute" if "://" in page.next else "relative"
    if not next_page.good:
        return ProbeFinding("link", f"{kind}, refused: {next_page.outcome}", "a fetch that follows it fails", WARNING)
    if next_page.ids == page.ids:
        return ProbeFinding("link", f"{kind}, leads to the same page", "a fetch that follows it fails", WARNING)
    return ProbeFinding("link", kind)


def check_filter(future: ProbeResponse, always: ProbeResponse) -> ProbeFinding:
    """Report whether a filter by dateLastModified works. future, always: filters that match no row, and every row."""
    name, use = "filter", "delta: true would have no effect"
    if not (future.good and always.good):
        worse = always if future.good else future
        return ProbeFinding(
            name, f"refused: {worse.outcome}", "remove delta: only full rosters can be fetched", WARNING
        )
    if future.rows:
        return ProbeFinding(name, "ignored", f"{use}: every response has all rows", WARNING)
    if not always.rows:
        return ProbeFinding(name, "gives nothing", f"{use}: a response without rows proves nothing", WARNING)
    return ProbeFinding(name, "honored", "delta: true would save requests between full rosters")


def check_tobedeleted(matching_page: ProbeResponse, page: ProbeResponse) -> ProbeFinding:
    """Report whether the server lists records marked tobedeleted.

    matching_page: the response to status='tobedeleted'. page: a large page without a filter.
    """
    seen = "tobedeleted" in [row.get("status") for row in (*matching_page.rows, *page.rows)]
    if seen:
        return ProbeFinding("tobedeleted", "sent", "people who left are marked; missing ones count as removed too")
    return ProbeFinding("tobedeleted", "not seen", "people who left are only missing")


def check_booleans(users: ProbeResponse) -> ProbeFinding:
    kinds = sorted({"JSON" if isinstance(each, bool) else "text" for each in users.list_values("enabledUser")})
    return ProbeFinding("booleans", " and ".join(kinds) or "unknown", "both are accepted")


def check_version(users: ProbeResponse, expected: str) -> ProbeFinding:
    """Report the version by the property of people's roles: `role` in 1.1, `roles` in 1.2."""
    seen = {"1.2" if "roles" in row else "1.1" for row in users.rows[:50] if "roles" in row or "role" in row}
    if not seen:
        return ProbeFinding("version", "unknown", f"url ends with version {expected}")
    if seen != {expected}:
        found = " and ".join(sorted(seen))
        return ProbeFinding("version", found, f"url ends with version {expected}: roles would not be read", WARNING)
    return ProbeFinding("version", expected)


def check_envelope(pages: Mapping[str, ProbeResponse]) -> ProbeFinding:
    """Report which keys hold the lists, by collection; the standard names the key after the type."""
    odd = []
    severity = Severity.INFO
    for name, page in pages.items():
        if page.good and page.key != PAGE_KEYS[name][0]:
            odd.append(
                f"{name}: {sanitize_text(page.key)[:40] if page.key else 'no key' if page.key == '' else 'no list'}"
            )
            if page.key not in PAGE_KEYS[name]:
                severity = WARNING
    remark = "a fetch fails if a list is not under its key" if severity is WARNING else ""
    return ProbeFinding("envelope", ", ".join(odd) or "as in the standard", remark, severity)


def check_timestamps(pages: Mapping[str, ProbeResponse]) -> ProbeFinding:
    shapes = sorted({mask_digits(each) for page in pages.values() for each in page.list_values("dateLastModified")})
    remark = DIGITS if shapes else "delta would have no effect"
    return ProbeFinding("date-last-modified", ", ".join(shapes[:5]) or "none", remark)


def check_dates(pages: Mapping[str, ProbeResponse]) -> ProbeFinding:
    """Report the forms of the dates of sessions and enrollments."""
    shapes = sorted({mask_digits(each) for page in pages.values() for each in page.list_values(*DAYS)})
    odd = [each for each in shapes if not each.startswith("9999-99-99")]
    remark = "only YYYY-MM-DD is certain to be read" if odd else DIGITS if shapes else ""
    return ProbeFinding("days", ", ".join(shapes[:5]) or "none", remark, WARNING if odd else Severity.INFO)


def report_row_count(name: str, page: ProbeResponse, required: bool) -> ProbeFinding:
    """Report how many rows a collection has."""
    title = "rows-" + "".join(f"-{sign.lower()}" if sign.isupper() else sign for sign in name)
    if page.error:
        severity = WARNING if required else Severity.INFO
        return ProbeFinding(title, f"refused: {page.outcome}", page.error.hint or "", severity)
    if page.total is not None:
        return ProbeFinding(title, str(page.total))
    return ProbeFinding(title, f"at least {len(page.rows)}" if page.rows else "none", "the server gives no total")


def check_page_beyond_end(page: ProbeResponse) -> ProbeFinding:
    """Report the response to a request beyond the last row."""
    if not page.good:
        return ProbeFinding(
            "behind-the-end", f"refused: {page.outcome}", "a fetch requires a total to find the end", WARNING
        )
    if page.rows:
        return ProbeFinding("behind-the-end", "rows", "offset is ignored beyond the last row", WARNING)
    return ProbeFinding("behind-the-end", "an empty list")


def measure_speed(page: ProbeResponse) -> ProbeFinding:
    if not page.good or not page.rows or page.seconds <= 0:
        return ProbeFinding("speed", "unknown")
    per_second = len(page.rows) / page.seconds
    return ProbeFinding(
        "speed", f"{per_second:.0f} rows/s", f"{page.seconds * 1000:.0f} ms for a page of {len(page.rows)}"
    )
