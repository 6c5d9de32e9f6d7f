"""The plan as one comment on a pull request."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token
from syrupy.assertion import SnapshotAssertion

from reconciler.model.change import Action, Create, Delete, FieldChange
from reconciler.model.diagnostic import Span
from reconciler.model.kind import Kind
from reconciler.model.plan import CustomerPlan, Hold, Plan
from reconciler.model.reason import Reason
from reconciler.reports.pages.markdown import MARKER, MOST_BYTES, render_plan_markdown
from reconciler.reports.pages.markdown_text import escape_markdown, format_code_span
from reconciler.reports.plan.people import PeopleVisibility
from tests.support.plans import reviewed as reviews
from tests.support.plans import samples

COMMAND = "reconciler apply"
OUR_HTML = re.compile(r"</?(?:details|summary|sub|code)>")
TOKENS = (
    *("`", "``", "```", "|", "\\|", "<", ">", "&amp;", "\\", "*", "_", "~~", "#", " ", "1. ", "- ", "---", "\t", "é"),
    *("\n", "\r", "\u2028", "\u202e", "\u0301", "@team/admins", "#123", "GH-7", "$x$", ":+1:", "!7", "%8", "&9"),
    *(
        "[a](https://x.example)",
        "![i](x)",
        "https://evil.example",
        "www.evil.example",
        "a@evil.example",
        "evil.example",
    ),
    *("<https://x.example>", "[x]: https://x.example", "<!--", "-->", "</details>", "<img src=x>", "4f1c2a9b7e5d3f60"),
)
HOSTILE = st.lists(st.one_of(st.sampled_from(TOKENS), st.text(max_size=5)), max_size=8).map("".join)


def rendered(plan: Plan, **options: Any) -> str:
    return render_plan_markdown(plan, PeopleVisibility.MASKED, samples.mask, **{"command": COMMAND, **options})


@cache
def reader() -> MarkdownIt:
    return MarkdownIt("gfm-like", {"html": True, "linkify": True})


def tokens(text: str) -> list[Token]:
    found = []
    for token in reader().parse(text):
        found += [token, *(token.children or [])]
    return found


@pytest.mark.parametrize(
    "plan",
    [
        lambda: samples.plan(samples.nothing()),
        lambda: samples.plan(samples.removals(), samples.removed_from_git(), samples.first_load()),
        reviews.folded,
        lambda: samples.plan(samples.refused(), samples.failed(), samples.updates()),
        reviews.reviewed,
        lambda: reviews.hostile("a|b`c <b>@x #1 https://x.y/\n\u202e"),
    ],
    ids=["nothing", "deletions-and-holds", "weakened-and-folded", "refused", "base-and-causes", "hostile"],
)
def test_a_comment_reads_as_it_did(plan: Any, snapshot: SnapshotAssertion) -> None:
    assert rendered(plan()) == snapshot


def test_ci_finds_its_comment_by_the_first_line() -> None:
    assert rendered(reviews.reviewed()).split("\n")[0] == MARKER == "<!-- reconciler -->"


def test_totals_weakened_holds_and_deletions_stand_above_every_fold() -> None:
    text = rendered(reviews.reviewed())
    words = (
        "5 people to remove",
        "#### Protections weakened",
        "#### Held",
        "#### To remove",
        "<details>",
        "plan `sha256:",
    )
    order = [text.index(word) for word in words]
    assert order == sorted(order)
    assert text.rindex("remove person") < text.index("<details>")


def test_a_plan_that_removes_nobody_says_so() -> None:
    assert "**No one is removed.**" in rendered(samples.plan(samples.nothing()))
    assert "No one is removed" not in rendered(reviews.reviewed())


def test_hold_says_who_why_and_how_to_approve() -> None:
    text = rendered(samples.plan(samples.removals()))
    assert "- `springfield:12:7f3a9c`: 12 people, 24 changes in all\n" in text
    assert "  - Lincoln Elementary (s-7) would lose everyone: 12 of 12.\n" in text
    assert f"`{COMMAND} --approve springfield:12:7f3a9c`" in text


def test_preview_says_so_and_offers_no_command() -> None:
    text = rendered(reviews.reviewed())
    assert "applying this plan does not make them" in text
    assert "--approve springfield:" not in text


def test_people_are_masked_unless_they_are_asked_for() -> None:
    assert "Simpson" not in rendered(samples.plan(samples.removals()))
    assert "Simpson" in render_plan_markdown(samples.plan(samples.removals()), PeopleVisibility.FULL, samples.mask)


def test_the_same_change_of_300_customers_is_one_row() -> None:
    text = rendered(reviews.folded())
    assert "300 customers: `district-0001`, `district-0002`, `district-0003` and 297 more" in text
    assert text.count("| … otherwise |") == 3
    assert len(text) < 6000


def check_is_harmless(text: str) -> None:
    """Nothing is a link, an image, raw HTML that is not ours, or a cell too many; every fold is closed."""
    found = tokens(text)
    assert {token.type for token in found} <= {
        *("heading_open", "heading_close", "paragraph_open", "paragraph_close", "inline", "text", "code_inline"),
        *("html_block", "html_inline", "softbreak", "strong_open", "strong_close", "blockquote_open"),
        *("table_open", "table_close", "thead_open", "thead_close", "tbody_open", "tbody_close"),
        *("tr_open", "tr_close", "th_open", "th_close", "td_open", "td_close"),
        *("bullet_list_open", "bullet_list_close", "list_item_open", "list_item_close"),
    }
    first, *raw = [token.content for token in found if token.type in ("html_block", "html_inline")]
    assert first.strip() == MARKER
    assert [re.sub(r"<code>[^<>]*</code>", "", OUR_HTML.sub("", each)).count("<") for each in raw] == [0] * len(raw)
    html = "".join(raw)
    assert html.count("<details>") == html.count("</details>") == html.count("<summary>")
    for line in text.split("\n"):
        if line.startswith("<details>"):
            assert re.fullmatch(r"<details><summary>(<code>[^<>]*</code>: )?[A-Za-z ]+\([\d,]+\)</summary>", line)
    columns: list[int] = []
    for line in re.findall(r"^\|.*\|$", text, re.MULTILINE):
        columns.append(len(re.findall(r"(?<!\\)\|", line)))
    tables = [token for token in found if token.type == "table_open"]
    rows = sum(token.type == "tr_open" for token in found)
    assert rows + len(tables) == len(columns)
    for table in text.split("\n\n"):
        lines = [line for line in table.split("\n") if line.startswith("|")]
        assert len({line.count("|") for line in lines}) <= 1


@given(HOSTILE)
@example("")
@example("\\")
@example("a\\|b")
@example("`</code></details><script>alert(1)</script>")
@settings(deadline=None, max_examples=50)
def test_a_hostile_value_means_nothing_wherever_it_stands(value: str) -> None:
    text = rendered(reviews.hostile(value))
    check_is_harmless(text)
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]", text)
    assert len(text.encode()) <= MOST_BYTES


def outside_code(text: str) -> str:
    return re.sub(r"`[^`\n]*`|<code>.*?</code>", "", text)


@given(HOSTILE)
@example("GH-7GH-7")
@example("x-4f1c2a9b7")
@settings(deadline=None, max_examples=50)
def test_nobody_is_mentioned_and_nothing_is_referred_to(value: str) -> None:
    """What GitHub and GitLab put on top of Markdown leaves code alone; outside of it nothing of the kind is left."""
    text = outside_code(rendered(reviews.hostile(value))).replace(MARKER, "")
    assert not re.search(r"@|#\d|(?i:\bgh-\d)|\b[0-9a-f]{7,40}\b|\$|://|www\.|:\w+:|!\d|%\d|&\w|\[", text)


@given(HOSTILE)
def test_a_value_in_code_is_all_of_the_value(value: str) -> None:
    (paragraph,) = [token for token in reader().parse(f"x {format_code_span(value, 10_000)}") if token.type == "inline"]
    spans = [child.content for child in paragraph.children or [] if child.type == "code_inline"]
    assert len(spans) == (1 if value else 0)


def test_plain_words_stay_readable() -> None:
    assert escape_markdown("Lincoln Elementary (s-7) would lose everyone: 1,012 of 1,012.") == (
        "Lincoln Elementary (s-7) would lose everyone: 1,012 of 1,012."
    )
    assert escape_markdown(4298) == "4,298"
    for text in ("deadbeef1", "GH-12", "@ann", "a_b", "evil.example", "1. one", "- x", "x  y", "*b*", "#1", ":tada:"):
        assert escape_markdown(text) == f"`{text}`", text


def several(customers: int, rows: int) -> Plan:
    """Everybody loses people, changes settings otherwise than everybody else, and gets communities."""
    every: list[CustomerPlan] = []
    for number in range(customers):
        id = f"district-{number:04}"
        fields = [FieldChange(f"setting-{place}", number, f"{number}-{place}") for place in range(rows)]
        made = [
            Create(kind=Kind.COMMUNITY, key=f"c-{number}-{place}", label="New", reason=Reason.NEW, held=True)
            for place in range(rows)
        ]
        gone = Delete(kind=Kind.COMMUNITY, key=f"old-{number}", label="Old", reason=Reason.REMOVED_FROM_GIT, held=True)
        leaving = [samples.gone(Kind.USER, samples.person(f"u-{place}", "Lisa", "S")) for place in range(rows)]
        plan = reviews.changed(
            id, reviews.update(id, *fields), *made, gone, weakenings=(reviews.limit_lifted(id, number),)
        )
        hold = Hold(f"{id}:{rows}:00c0de", rows, rows, tuple(f"Reason {place}" for place in range(rows)))
        every.append(replace(plan, hold=hold, roster={Kind.USER: samples.frame(Kind.USER, leaving)}))
    return reviews.with_base(*every)


@pytest.mark.parametrize(("customers", "rows"), [(1, 5), (1, 900), (40, 30), (600, 3)])
def test_a_comment_never_grows_too_long(customers: int, rows: int) -> None:
    text = rendered(several(customers, rows), rows=10_000)
    check_is_harmless(text)
    assert len(text.encode()) <= MOST_BYTES
    assert ("Not everything fits here" in text) == (customers * rows > 5)


def test_cut_list_counts_the_rest_and_says_where() -> None:
    plan = several(40, 30)
    text = rendered(plan, rows=10_000)
    (number, customers) = re.findall(
        r"\*\*Not everything fits here:\*\* ([\d,]+) more rows of ([\d,]+) customers", text
    )[0]
    assert customers == "40"
    shown = sum(line.startswith(("| ", "- `")) for line in text.split("\n"))
    heads = 2 * text.count("| --- |\n")
    weakened, holds, removed, changed, added = 40, 40, 40 * 31, 40 * 30, 40 * 30
    assert shown - heads + int(number.replace(",", "")) == weakened + holds + removed + changed + added
    assert "Full plan: `reconciler plan --format html`" in text


def test_what_is_least_important_is_cut_first() -> None:
    text = rendered(several(20, 20), rows=10_000)
    assert text.count("remove person") == 20 * 20
    assert "To add" not in text
    assert "setting-" not in text or "other changes" in text


def test_the_whole_report_may_stand_elsewhere() -> None:
    plan = several(40, 30)
    link = rendered(plan, full_report="https://ci.example/runs/7?a=b")
    assert "Full plan: [the job's report](<https://ci.example/runs/7?a=b>)." in link
    words = rendered(plan, full_report="artifact <plan>")
    assert "Full plan: `artifact <plan>`" in words
    assert "](<" not in rendered(plan, full_report="https://x.example/>[a](b)")


def test_one_huge_value_does_not_push_anything_out() -> None:
    text = rendered(reviews.hostile("x\u0301" * 20_000))
    assert len(text.encode()) <= MOST_BYTES
    assert "Not everything fits" not in text


def test_what_rows_leave_out_is_counted_too() -> None:
    people = [
        samples.change(
            Action.UPDATE,
            Reason.FIELD_CHANGED,
            3,
            samples.with_before(Kind.USER, samples.person(f"u-{number:03}", "A", "B"), grades="04"),
        )
        for number in range(30)
    ]
    customer = samples.customer(roster={Kind.USER: samples.frame(Kind.USER, people)})
    text = rendered(samples.plan(customer), rows=4)
    assert "… 26 more of these are not shown." in text
    assert "26 more rows of 1 customer are not shown" in text


def test_origin_of_a_change_is_a_file_location() -> None:
    assert f"`{Span('customers/springfield/customer.yaml', 40)}`" in rendered(reviews.reviewed())
