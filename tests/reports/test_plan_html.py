"""The plan as one HTML file."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from syrupy.assertion import SnapshotAssertion

from reconciler.model.change import Action
from reconciler.model.kind import Kind
from reconciler.model.plan import Plan
from reconciler.model.reason import Reason
from reconciler.reports.pages import html
from reconciler.reports.pages.html import render_plan_html
from reconciler.reports.plan.people import PeopleVisibility
from tests.support.plans import reviewed as reviews
from tests.support.plans import samples

COMMAND = "reconciler apply"
VOID = {"meta", "br", "input"}


def rendered(plan: Plan, **options: Any) -> str:
    return render_plan_html(plan, PeopleVisibility.MASKED, samples.mask, **{"command": COMMAND, **options})


def body(text: str) -> str:
    """Without the style and the script, which are files of their own."""
    return re.sub(r"(?s)<(style|script)>.*?</\1>", "", text)


class Page(HTMLParser):
    """The elements of a page, and whether every one is closed where it should be."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.words: list[str] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not self.open or self.open[-1] not in ("style", "script"):
            self.words.append(data)


@pytest.mark.parametrize(
    "plan",
    [
        lambda: samples.plan(samples.nothing()),
        lambda: samples.plan(samples.removals(), samples.removed_from_git(), samples.first_load()),
        lambda: reviews.folded(30),
        lambda: samples.plan(samples.refused(), samples.failed(), samples.updates()),
        reviews.reviewed,
        lambda: reviews.hostile("a|b`c <b>@x #1 https://x.y/\n\u202e"),
    ],
    ids=["nothing", "deletions-and-holds", "weakened-and-folded", "refused", "base-and-causes", "hostile"],
)
def test_a_page_reads_as_it_did(plan: Any, snapshot: SnapshotAssertion) -> None:
    text = rendered(plan())
    Page(text)
    assert re.sub(r"sha256-[^']+'", "sha256-…'", body(text)) == snapshot


def test_totals_weakened_holds_and_deletions_come_first() -> None:
    text = rendered(reviews.reviewed())
    words = ("5 people to remove", "Protections weakened", "Held for approval", ">To remove<", ">By customer<")
    order = [text.index(word, text.index("<body>")) for word in words]
    assert order == sorted(order)


def test_only_our_style_and_script_run_and_nothing_loads() -> None:
    text = rendered(reviews.reviewed())
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]+)"', text)
    assert policy is not None
    allowed = dict(part.strip().split(" ", 1) for part in policy[1].split(";"))
    assert allowed["default-src"] == allowed["base-uri"] == allowed["form-action"] == "'none'"
    for element, directive in (("style", "style-src"), ("script", "script-src")):
        (content,) = re.findall(rf"(?s)<{element}>(.*?)</{element}>", text)
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert allowed[directive] == f"'sha256-{digest}'"
    page = Page(text)
    assert not {"img", "link", "iframe", "object", "base", "a href"} & set(page.tags)
    assert {value for name, value in page.attributes if name in ("href", "src", "srcset", "action")} == {"#changes"}
    assert not [name for name, _ in page.attributes if name.startswith("on") or name == "style"]
    assert "url(" not in text.replace("url(#over)", "")


KNOWN = set(Page(rendered(reviews.hostile("x"))).tags) | set(Page(rendered(reviews.reviewed())).tags)


@given(
    st.one_of(
        st.text(max_size=20), st.sampled_from(["</script><script>", "<!--", "]]>", '"onload="x', "'><b>", "&lt;"])
    )
)
@example("</title></style></script><img src=x onerror=alert(1)>")
@settings(deadline=None, max_examples=50)
def test_a_hostile_value_is_text_wherever_it_stands(value: str) -> None:
    text = rendered(reviews.hostile(value))
    page = Page(text)
    assert set(page.tags) <= KNOWN
    assert page.tags.count("script") == page.tags.count("style") == 1
    assert not [name for name, _ in page.attributes if name.startswith("on") or name in ("style", "src")]
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]", body(text))


def test_a_value_is_shown_as_it_is() -> None:
    words = "".join(Page(rendered(reviews.hostile("<b>&amp;"))).words)
    assert "<b>&amp;" in words


def test_every_column_has_a_heading_with_a_scope() -> None:
    text = rendered(reviews.reviewed())
    assert text.count("<th ") == text.count('<th scope="col">') > 0
    headings = re.findall(r"<h(\d)", text)
    assert headings[0] == "1"
    assert all(int(after) <= int(before) + 1 for before, after in pairwise(headings))


def test_limit_is_a_bar_with_mark_and_words() -> None:
    text = rendered(samples.plan(samples.removals()))
    (over,) = re.findall(r'<li class="exceeded">(.*?)</li>', text, re.DOTALL)
    assert 'aria-label="Lincoln Elementary (s-7): 12 of 5 allowed, 12 active, exceeded"' in over
    assert "<strong>✗ exceeded</strong>" in over
    used = float(re.findall(r'class="used" y="4" width="([\d.]+)"', over)[0])
    beyond, width = re.findall(r'class="over" x="([\d.]+)" y="4" width="([\d.]+)"', over)[0]
    assert used == float(beyond)
    assert (used + float(width)) / used == pytest.approx(12 / 5, rel=0.01)
    assert text.count('class="over"') == 1
    assert text.count('class="mark"') == 5


def test_rows_carry_what_the_filters_ask_for() -> None:
    text = rendered(reviews.reviewed())
    assert 'data-row data-action="delete" data-kind="user" data-cause="" data-held>' in text
    assert 'data-row data-action="update" data-kind="community" data-cause="drift">' in text
    assert '<form class="filters" id="filters" role="search" hidden>' in text


def test_there_are_no_causes_without_a_base() -> None:
    text = body(rendered(samples.plan(samples.removals())))
    assert 'id="cause"' not in text
    assert ">cause<" not in text


def people(action: Action, number: int) -> list[dict[str, Any]]:
    rows = [samples.person(f"{action}-{place:05}", "A", "B") for place in range(number)]
    if action is Action.DELETE:
        return [samples.gone(Kind.USER, row) for row in rows]
    return [samples.change(action, Reason.NEW, 2, row) for row in rows]


def test_what_is_cut_is_counted() -> None:
    several = people(Action.DELETE, 30) + people(Action.CREATE, 40)
    customer = samples.customer(roster={Kind.USER: samples.frame(Kind.USER, several)})
    text = rendered(samples.plan(customer), rows=25)
    assert text.count('<tr class="taken"') == 25
    assert "… 5 more people to remove of springfield, not shown here" in text
    assert "… 15 more people to add, not shown here" in text


def test_page_has_a_row_limit_filled_by_deletions_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(html, "MOST_ROWS", 50)
    frame = samples.frame(Kind.USER, people(Action.CREATE, 30) + people(Action.DELETE, 30))
    customers = [samples.customer(f"c-{number}", roster={Kind.USER: frame}) for number in range(3)]
    text = rendered(samples.plan(*customers))
    assert body(text).count("data-row ") == 50
    assert text.count('<tr class="taken"') == 50
    assert "… 10 more people to remove of c-1" in text
    assert "… 30 more people to remove of c-2" in text
    assert text.count("… 30 more people to add") == 3


def test_customer_with_nothing_more_to_say_has_no_block() -> None:
    text = rendered(samples.plan(samples.removed_from_git(), samples.nothing("quiet")))
    assert '<details class="customer"' not in text
    assert "<p>quiet</p>" in text


def test_people_are_masked_unless_they_are_asked_for() -> None:
    plan = samples.plan(replace(samples.removals(), hold=None))
    assert "Simpson" not in rendered(plan)
    assert "Simpson" in render_plan_html(plan, PeopleVisibility.FULL, samples.mask)
