"""The paging machine: against servers made up of every habit, it ends with all rows or refuses."""

from __future__ import annotations

import hashlib
import random
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from urllib.parse import clear_cache

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.oneroster.sources.api.pages.facts import extract_page_facts, parse_next_link, parse_total_rows
from reconciler.oneroster.sources.api.pages.paging import (
    LastPage,
    NextPage,
    PageFacts,
    PageRequest,
    PageRetry,
    PagingRefusal,
    PagingRestart,
    PagingState,
)

LIMIT = 10


def ids(count: int) -> list[str]:
    return [f"u-{number:04d}" for number in range(count)]


@dataclass
class Server:
    """A simulated server. clamp: rows at once at the n-th request. between: may change `rows` before each request.
    order: of the rows as they are given. total, link: headers. rounds: an offset down to whole pages."""

    rows: list[str]
    clamp: Callable[[int], int] = lambda number: 1000
    between: Callable[[Server], object] = lambda server: None
    order: Callable[[list[str], int], list[str]] = lambda rows, number: sorted(rows)
    total: bool = True
    links: str = ""
    rounds: bool = False
    deaf: bool = False
    requests: list[PageRequest] = field(default_factory=list)

    def answer(self, request: PageRequest) -> tuple[list[str], PageFacts]:
        self.requests.append(request)
        if len(self.requests) > 1:
            self.between(self)
        number = len(self.requests)
        rows = self.order(self.rows, number)
        offset = int(request.link.partition("offset=")[2].partition("&")[0]) if request.link else request.offset
        most = min(request.limit, self.clamp(number))
        if self.rounds:
            offset = offset // most * most
        if self.deaf:
            offset = 0
        page = rows[offset : offset + most]
        headers = {"x-total-count": str(len(rows))} if self.total else {}
        if self.links and offset + len(page) < len(rows):
            headers["link"] = f'<https://x.example/users?offset={offset + len(page)}&{self.links}>; rel="next"'
        return page, extract_page_facts(pl.Series(page, dtype=pl.String), headers)


def read(server: Server) -> list[str] | PagingRefusal | PagingRestart:
    """All that the machine keeps of one reading."""
    paging = PagingState("users", LIMIT)
    kept: list[str] = []
    for _ in range(5_000):
        rows, page = server.answer(paging.request)
        match paging.process_page(page):
            case NextPage(skip=skip):
                kept += rows[skip:]
            case LastPage(skip=skip):
                kept += rows[skip:]
                return kept if len(set(kept)) == len(kept) else PagingRestart("repeated")
            case PageRetry():
                pass
            case other:
                return other
    raise AssertionError("it does not end")


def code(outcome: object) -> str:
    assert isinstance(outcome, PagingRefusal), outcome
    return outcome.diagnostic.code


habits = st.fixed_dictionaries(
    {
        "count": st.integers(0, 80),
        "total": st.booleans(),
        "links": st.sampled_from(["", "limit=10", "cursor=abc"]),
        "clamps": st.lists(st.integers(1, 15), min_size=1, max_size=6),
        "rounds": st.booleans(),
    }
)


@given(habits)
@settings(max_examples=300, deadline=None)
def test_stable_server_is_read_to_its_last_row(habit: dict) -> None:
    clamps = habit["clamps"] if not habit["rounds"] else [min(habit["clamps"][0], LIMIT)]
    server = Server(
        ids(habit["count"]),
        clamp=lambda number: clamps[number % len(clamps)],
        total=habit["total"],
        links=habit["links"],
        rounds=habit["rounds"],
    )
    outcome = read(server)
    if habit["rounds"]:  # with a clamp its offsets mean other rows than were asked for
        assert isinstance(outcome, PagingRefusal | PagingRestart) or outcome == ids(habit["count"])
    else:
        assert outcome == ids(habit["count"])


@given(
    count=st.integers(20, 80),
    total=st.booleans(),
    seed=st.integers(0, 10_000),
    clamp=st.integers(2, LIMIT),
    often=st.floats(0.02, 0.9),
)
@settings(max_examples=400, deadline=None)
def test_shifting_rows_never_hide_anyone_who_stayed(
    count: int, total: bool, seed: int, clamp: int, often: float
) -> None:
    chance = random.Random(seed)
    stayed = set(ids(count))

    def come_and_go(server: Server) -> None:
        if chance.random() < often:
            gone = chance.choice(server.rows)
            server.rows.remove(gone)
            stayed.discard(gone)
        if chance.random() < often:
            server.rows.append(f"u-{chance.randrange(count):04d}-{chance.random()}")

    outcome = read(Server(ids(count), clamp=lambda _: clamp, between=come_and_go, total=total))
    if isinstance(outcome, list):
        assert stayed <= set(outcome)


@given(count=st.integers(25, 60), seed=st.integers(0, 10_000), total=st.booleans())
@settings(max_examples=200, deadline=None)
def test_unordered_server_is_never_half_believed(count: int, seed: int, total: bool) -> None:
    def shuffled(rows: list[str], number: int) -> list[str]:
        return random.Random(seed + number).sample(rows, len(rows))

    outcome = read(Server(ids(count), order=shuffled, total=total))
    assert not isinstance(outcome, list) or sorted(outcome) == ids(count)


@given(count=st.integers(1, 60), total=st.booleans(), links=st.sampled_from(["", "cursor=abc"]))
@settings(max_examples=60, deadline=None)
def test_repeated_first_page_is_a_loop_or_the_end(count: int, total: bool, links: str) -> None:
    outcome = read(Server(ids(count), deaf=True, total=total, links=links))
    if count <= LIMIT and total:
        assert outcome == ids(count)
    elif count > LIMIT:
        assert code(outcome) == "paging-loop"


def test_a_page_shorter_than_its_limit_ends_nothing() -> None:
    server = Server(ids(25), clamp=lambda number: 4)
    assert read(server) == ids(25)


def test_next_request_follows_the_last_row_received() -> None:
    server = Server(ids(25), clamp=lambda number: 4)
    read(server)
    assert [each.offset for each in server.requests[:4]] == [0, 3, 6, 9]
    assert all(each.limit == LIMIT for each in server.requests)


def test_a_clamp_is_noted_once() -> None:
    paging = PagingState("users", LIMIT)
    server = Server(ids(25), clamp=lambda number: 4)
    while not isinstance(paging.process_page(server.answer(paging.request)[1]), LastPage):
        pass
    assert [note.code for note in paging.diagnostics] == ["page-clamp"]
    assert paging.clamp == 4


def test_empty_page_in_mid_stream_is_retried_then_refused() -> None:
    class Hiccup(Server):
        broken = 2

        def answer(self, request: PageRequest) -> tuple[list[str], PageFacts]:
            rows, page = super().answer(request)
            if len(self.requests) >= 3 and self.broken:
                self.broken -= 1
                return [], extract_page_facts(pl.Series([], dtype=pl.String), {"x-total-count": "35"})
            return rows, page

    once, twice = Hiccup(ids(35)), Hiccup(ids(35))
    once.broken = 1
    assert read(once) == ids(35)
    assert code(read(twice)) == "incomplete-collection"


@pytest.mark.parametrize("total", [True, False])
def test_gap_from_rounded_offsets_is_found(total: bool) -> None:
    class Hole(Server):
        def answer(self, request: PageRequest) -> tuple[list[str], PageFacts]:
            if request.offset == 20:
                headers = {"x-total-count": "45"} if total else {}
                return [], extract_page_facts(pl.Series([], dtype=pl.String), headers)
            return super().answer(request)

    assert code(read(Hole(ids(45), rounds=True, total=total))) == "incomplete-collection"


def test_fewer_rows_than_the_server_counts_are_refused() -> None:
    class Short(Server):
        def answer(self, request: PageRequest) -> tuple[list[str], PageFacts]:
            rows, page = super().answer(request)
            return rows, PageFacts(page.rows, page.digest, page.first, page.last, page.ascending, total=99)

    assert code(read(Short(ids(35)))) == "incomplete-collection"


def test_total_too_small_ends_nothing_and_is_reported() -> None:
    paging, server, kept = PagingState("users", LIMIT), Server(ids(35), total=False), []
    while True:
        rows, page = server.answer(paging.request)
        turn = paging.process_page(
            PageFacts(page.rows, page.digest, page.first, page.last, page.ascending, total=page.rows)
        )
        if isinstance(turn, NextPage | LastPage):
            kept += rows[turn.skip :]
        if isinstance(turn, LastPage):
            break
    assert kept == ids(35)
    assert [note.code for note in paging.diagnostics] == ["wrong-total"]


def test_a_next_link_that_leads_back_is_a_loop() -> None:
    paging = PagingState("users", LIMIT)
    pages = [["a", "b"], ["c", "d"], ["e", "f"]]
    links = ["https://x.example/u?cursor=1", "https://x.example/u?cursor=2", "https://x.example/u?cursor=1"]
    turns = [
        paging.process_page(extract_page_facts(pl.Series(rows), {"link": f"<{link}>; rel=next"}))
        for rows, link in zip(pages, links, strict=True)
    ]
    assert [type(turn) for turn in turns] == [NextPage, NextPage, PagingRefusal]
    assert code(turns[-1]) == "paging-loop"


def test_rest_after_early_next_links_is_requested_by_offset() -> None:
    class Forgetful(Server):
        def answer(self, request: PageRequest) -> tuple[list[str], PageFacts]:
            rows, page = super().answer(request)
            if len(self.requests) == 2:
                page = PageFacts(page.rows, page.digest, page.first, page.last, page.ascending, page.total)
            return rows, page

    server = Forgetful(ids(35), links="cursor=abc")
    assert read(server) == ids(35)
    assert [each.link is None for each in server.requests] == [True, False, True, True, True]


def test_forgotten_next_link_without_totals_is_not_the_end() -> None:
    """A proxy took the header away: what lies behind the last link is asked for once."""
    server = Server(ids(35), links="cursor=x", total=False)
    assert read(server) == ids(35)
    assert server.requests[-1] == PageRequest(35, LIMIT)

    class Forgetful(Server):
        def answer(self, request: PageRequest) -> tuple[list[str], PageFacts]:
            rows, page = super().answer(request)
            return rows, replace(page, link=None) if len(self.requests) == 2 else page

    assert code(read(Forgetful(ids(35), links="cursor=x", total=False))) == "incomplete-collection"
    assert read(Forgetful(ids(35), links="cursor=x")) == ids(35), "with a total the rest is asked for"


def test_total_of_one_page_does_not_hide_a_forgotten_link() -> None:
    class Miscounting(Server):
        forgets = 0

        def answer(self, request: PageRequest) -> tuple[list[str], PageFacts]:
            rows, page = super().answer(request)
            page = replace(page, total=LIMIT)
            return rows, replace(page, link=None) if len(self.requests) == self.forgets else page

    whole, cut = Miscounting(ids(40), links="cursor=x"), Miscounting(ids(40), links="cursor=x")
    cut.forgets = 2
    assert read(whole) == ids(40)
    assert code(read(cut)) == "incomplete-collection"


def test_links_are_known_again_and_not_kept() -> None:
    server, paging = Server(ids(500), links=f"cursor={'x' * 50_000}"), PagingState("users", LIMIT)
    tracemalloc.start()
    while isinstance(paging.process_page(server.answer(paging.request)[1]), NextPage):
        server.requests = server.requests[:1]
    clear_cache()  # Python's own knows the last few
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert paging.pages == 50
    assert kept < 500_000, "a tenth of its links"


def test_server_without_offsets_ends_at_its_last_link() -> None:
    class Cursors(Server):
        def answer(self, request: PageRequest) -> tuple[list[str], PageFacts]:
            return super().answer(request if request.link else PageRequest(0, request.limit))

    assert read(Cursors(ids(35), links="cursor=x", total=False)) == ids(35)


def test_row_moving_to_the_next_page_is_noticed() -> None:
    def swapped(server: Server) -> None:
        if len(server.requests) == 2:
            server.rows.remove("u-0003")
            server.rows.append("u-9999")

    assert isinstance(read(Server(ids(35), between=swapped)), PagingRestart)


def test_server_rejecting_an_offset_is_asked_without() -> None:
    paging, server, kept = PagingState("users", LIMIT), Server(ids(25)), []
    while True:
        if paging.request.overlap:
            paging.drop_overlap()
        rows, page = server.answer(paging.request)
        turn = paging.process_page(page)
        if isinstance(turn, NextPage | LastPage):
            kept += rows[turn.skip :]
        if isinstance(turn, LastPage):
            break
    assert kept == ids(25)
    assert not paging.is_contiguous


@pytest.mark.parametrize(
    ("header", "link"),
    [
        ('<https://x.example/u?offset=5>; rel="next"', "https://x.example/u?offset=5"),
        ('<https://x.example/a,b>; rel="first", <https://x.example/n>; rel=next', "https://x.example/n"),
        ('<?offset=9>; title="a, b"; rel="last next"', "?offset=9"),
        ('<https://x.example/u>; REL="Next"', "https://x.example/u"),
        ('<https://x.example/u>; rel="prev"', None),
        ("", None),
        ("nonsense; rel=next", None),
    ],
)
def test_the_next_link_is_found_among_others(header: str, link: str | None) -> None:
    assert parse_next_link(header) == link


def test_link_with_an_unreadable_offset_is_followed_verbatim() -> None:
    for digits, offset in (("50", 50), ("9" * 13, None), ("9" * 5000, None)):
        page = extract_page_facts(pl.Series(["a"]), {"link": f'<https://x.example/u?offset={digits}>; rel="next"'})
        assert page.link_offset == offset


def test_totals_come_from_either_header_as_numbers_only() -> None:
    assert parse_total_rows({"x-total-count": " 12 "}) == 12
    assert parse_total_rows({"x-count": "7"}) == 7
    assert parse_total_rows({"x-total-count": "many"}) is None
    assert parse_total_rows({"x-total-count": "9" * 13}) is None, "no number of rows, nor one that others could keep"
    assert parse_total_rows({"x-total-count": "9" * 5000}) is None
    assert parse_total_rows({}) is None


def test_page_digests_are_equal_only_for_equal_rows() -> None:
    one, two = (
        extract_page_facts(pl.Series(["a", "b"]), {}),
        extract_page_facts(pl.Series(["a", "b"]), {"x-count": "2"}),
    )
    other = extract_page_facts(pl.Series(["b", "a"]), {})
    assert one.digest == two.digest == hashlib.sha256(b"a\nb").digest()
    assert (one.ascending, other.ascending) == (True, False)
    assert one.digest != other.digest
