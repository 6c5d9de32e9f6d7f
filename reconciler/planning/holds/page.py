"""Renders docs/reference/holds.md from the order of the holds."""

from collections.abc import Iterable

from reconciler.planning.holds.order import HOLD_STEPS, SETTLE_STEPS, HoldStep

HEAD = """\
# The order of the holds

A hold keeps changes back until a person approves exactly that set. Planning compares the whole roster first, then goes
through the steps below. A change that is held stays held, and stays in the plan: listed, counted and marked.

| | step | why here |
| --- | --- | --- |
"""

REPEATED = """
These steps then repeat until a whole round changes nothing:

| | step | why here |
| --- | --- | --- |
"""


def render_holds_page() -> str:
    """Return the Markdown text of the page."""
    return HEAD + _format_rows(HOLD_STEPS, 1) + REPEATED + _format_rows(SETTLE_STEPS, len(HOLD_STEPS) + 1)


def _format_rows(steps: Iterable[HoldStep], first: int) -> str:
    return "".join(f"| {place} | `{step.name}` | {step.reason} |\n" for place, step in enumerate(steps, first))
