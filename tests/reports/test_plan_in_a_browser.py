"""The HTML report in a real browser: nothing is fetched, filters work, it fits a phone, everything can be read."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from reconciler.model.change import Action
from reconciler.model.kind import Kind
from reconciler.model.plan import Plan
from reconciler.model.reason import Reason
from reconciler.reports.pages.html import render_plan_html
from reconciler.reports.plan.people import PeopleVisibility
from tests.support.plans import reviewed as reviews
from tests.support.plans import samples

CHROMIUM = shutil.which("chromium")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium here: apt-get install chromium"),
]
HOSTILE = "</script><script>document.title='owned'</script><img src=https://evil.example/x onerror=alert(1)>"

#: the least contrast of a text with what is behind it, over the whole page
CONTRAST = """() => {
  const parse = (color) => color.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map((c) => c / 255)
    .map((c) => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const color = parse(getComputedStyle(at).backgroundColor);
      if (color.length < 4 || color[3] > 0) return color;
    }
    return [255, 255, 255];
  };
  let least = [99, ""];
  for (const element of document.body.querySelectorAll("*")) {
    const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
    if (!own || element.closest("script, svg") || !element.checkVisibility()) continue;
    const [a, b] = [light(parse(getComputedStyle(element).color)), light(behind(element))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < least[0]) least = [ratio, element.className + ": " + element.textContent.slice(0, 40)];
  }
  return least;
}"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield started
        started.close()


def opened(browser: Browser, folder: Path, plan: Plan, **context: Any) -> tuple[Page, list[str], list[str]]:
    """The report of a plan, the addresses that it asked for, and what it complained of."""
    path = folder / "report.html"
    path.write_text(
        render_plan_html(plan, PeopleVisibility.MASKED, samples.mask, command="reconciler apply"), encoding="utf-8"
    )
    page = browser.new_context(**context).new_page()
    page.set_default_timeout(120_000)
    asked: list[str] = []
    complaints: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(path.as_uri())
    return page, asked, complaints


def visible_rows(page: Page) -> int:
    return page.locator("[data-row]:not([data-hidden])").count()


def says(page: Page, words: str) -> None:
    expect(page.locator("#found")).to_have_text(words, timeout=60_000)


@pytest.mark.parametrize("plan", [reviews.reviewed, reviews.folded, lambda: reviews.hostile(HOSTILE)])
def test_nothing_is_fetched_and_nothing_complains(browser: Browser, tmp_path: Path, plan: Any) -> None:
    page, asked, complaints = opened(browser, tmp_path, plan())
    assert asked == [(tmp_path / "report.html").as_uri()]
    assert complaints == []
    assert page.title().startswith("Plan: ")
    assert page.evaluate("getComputedStyle(document.querySelector('.facts')).display") == "flex"


def test_words_and_filters_leave_the_rows_that_fit(browser: Browser, tmp_path: Path) -> None:
    page, _, _ = opened(browser, tmp_path, reviews.reviewed())
    every = visible_rows(page)
    page.fill("#words", "shelbyville timezone")
    says(page, f"1 of {every} rows")
    assert not page.locator("#removals").is_visible()
    page.click("button[type=reset]")
    says(page, "")
    assert visible_rows(page) == every
    page.select_option("#cause", "drift")
    says(page, f"1 of {every} rows")
    page.select_option("#cause", "")
    page.check("#held-only")
    says(page, f"5 of {every} rows")
    page.select_option("#kind", "user")
    says(page, f"3 of {every} rows")
    page.select_option("#action", "update")
    says(page, f"0 of {every} rows")


def test_everything_can_be_reached_with_the_keyboard(browser: Browser, tmp_path: Path) -> None:
    page, _, _ = opened(browser, tmp_path, reviews.reviewed())
    reached = []
    for _ in range(12):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.id || document.activeElement.localName"))
    assert reached[:7] == ["a", "words", "action", "kind", "cause", "held-only", "button"]
    assert "summary" in reached


def test_without_script_everything_is_there(browser: Browser, tmp_path: Path) -> None:
    page, _, _ = opened(browser, tmp_path, reviews.reviewed(), java_script_enabled=False)
    assert not page.locator("#filters").is_visible()
    assert page.locator("#removals").is_visible()
    assert page.locator("tr.taken").count() == 8


@pytest.mark.parametrize("plan", [reviews.reviewed, reviews.folded, lambda: reviews.hostile("x" * 300 + HOSTILE)])
@pytest.mark.parametrize("width", [360, 800, 1280])
def test_no_page_scrolls_sideways(browser: Browser, tmp_path: Path, plan: Any, width: int) -> None:
    page, _, _ = opened(browser, tmp_path, plan(), viewport={"width": width, "height": 800})
    page.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
    assert page.evaluate("document.documentElement.scrollWidth") <= width


#: the cells whose text or label leaves their box, or lies over another cell of the row
OVERLAPS = """() => [...document.querySelectorAll("td")].filter((cell) => cell.checkVisibility()).filter((cell) => {
  const label = getComputedStyle(cell, "::before");
  const box = cell.getBoundingClientRect();
  const next = cell.nextElementSibling?.getBoundingClientRect();
  return label.position === "absolute" || cell.scrollHeight > cell.clientHeight + 1
    || cell.scrollWidth > cell.clientWidth + 1
    || (next && next.height && next.top < box.bottom - 1 && next.left < box.right - 1);
}).map((cell) => cell.textContent.slice(0, 60))"""


@pytest.mark.parametrize("plan", [reviews.reviewed, reviews.folded, lambda: samples.plan(samples.updates())])
@pytest.mark.parametrize("width", [320, 360, 900, 1280])
def test_160_no_column_overlaps_another(browser: Browser, tmp_path: Path, plan: Any, width: int) -> None:
    page, _, _ = opened(browser, tmp_path, plan(), viewport={"width": width, "height": 800})
    page.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
    assert page.evaluate(OVERLAPS) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_stands_out(browser: Browser, tmp_path: Path, scheme: Any) -> None:
    plan = reviews.with_base(*reviews.reviewed().customers, samples.removals(), samples.refused())
    page, _, _ = opened(browser, tmp_path, plan, color_scheme=scheme)
    ratio, where = page.evaluate(CONTRAST)
    assert ratio >= 4.5, where
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (int(re.findall(r"\d+", ground)[0]) < 128) == (scheme == "dark")


def test_a_plan_of_a_hundred_thousand_changes_is_usable(browser: Browser, tmp_path: Path) -> None:
    rows = [samples.gone(Kind.USER, samples.person(f"u-{each:06}", "A", "B")) for each in range(50_000)]
    rows += [
        samples.change(Action.CREATE, Reason.NEW, each, samples.person(f"n-{each:06}", "A", "B"))
        for each in range(50_000)
    ]
    customer = samples.customer(roster={Kind.USER: samples.frame(Kind.USER, rows)})
    page, _, _ = opened(browser, tmp_path, samples.plan(customer))
    assert (tmp_path / "report.html").stat().st_size < 2_000_000
    assert page.get_by_text("… 49,000 more people to remove of springfield, not shown here").is_visible()
    assert visible_rows(page) == 2_000
    page.fill("#words", samples.mask(Kind.USER, "springfield", "u-000007"))
    says(page, "1 of 2,000 rows")
