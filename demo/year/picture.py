"""The year as a picture: who has an account from day to day, and who would have been gone by each roster that was sent.

Plain SVG, made by code alone; the same series gives the same bytes. Light and dark follow the reader's settings.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from html import escape

from demo.year.series import Day, Series

WIDTH, HEIGHT = 960, 400
LEFT, RIGHT, TOP, BOTTOM = 52, 16, 92, 30
#: below so many missing people there is nothing to be seen
WORTH_A_BAR = 5
#: two labels that stand closer than this many pixels would hide each other
LABEL_WIDTH = 12

STYLE = """
text { font: 12px system-ui, sans-serif; fill: #57606a } .title { font-size: 15px; font-weight: 600; fill: #1f2328 }
.grid { stroke: #d0d7de; stroke-width: 1 } .live { stroke: #0969da; stroke-width: 2.5; fill: none }
.gone { stroke: #cf222e; stroke-width: 2; opacity: .45 } .held { fill: #bf8700 } .refused { fill: #cf222e }
.approved { fill: #1a7f37 } .back { fill: #ffffff } .label { font-size: 11px }
@media (prefers-color-scheme: dark) {
text { fill: #9198a1 } .title { fill: #f0f6fc } .grid { stroke: #3d444d } .live { stroke: #4493f8 }
.gone { stroke: #f85149 } .held { fill: #d29922 } .refused { fill: #f85149 } .approved { fill: #3fb950 }
.back { fill: #0d1117 }
}
"""
LEGEND = (
    ("refused", "refused: nothing was compared"),
    ("held", "held: whoever would have gone stayed"),
    ("approved", "held, then approved: it was true"),
)
TITLE = "People with an account, and what each roster would have left of them"
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


@dataclass(frozen=True, slots=True)
class Axes:
    """From days and people to pixels."""

    first: date
    last: date
    most: int

    def get_x(self, day: str) -> float:
        share = (date.fromisoformat(day) - self.first).days / max(1, (self.last - self.first).days)
        return round(LEFT + share * (WIDTH - LEFT - RIGHT), 1)

    def get_y(self, people: int) -> float:
        return round(HEIGHT - BOTTOM - people / self.most * (HEIGHT - TOP - BOTTOM), 1)


def render_picture(series: Series) -> str:
    """SVG text; ends with a newline."""
    days = series.days
    highest = max(max(day.live, day.should) for day in days)
    axes = Axes(date.fromisoformat(days[0].day), date.fromisoformat(days[-1].day), -(-highest // 100) * 100)
    told = (
        f"A school year of a made-up district: {days[-1].live:,} people have an account at its end, as many as should. "
        "Red lines are people whom a day's roster left out although they belong here; the blue line does not follow."
    )
    points = " ".join(f"{axes.get_x(day.day)},{axes.get_y(day.live)}" for day in days)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-labelledby="told">',
        f'<title id="told">{escape(told)}</title>',
        f"<style>{STYLE}</style>",
        f'<rect class="back" width="{WIDTH}" height="{HEIGHT}"/>',
        f'<text class="title" x="{LEFT}" y="22">{TITLE}</text>',
        *_render_legend(),
        *_render_grid(axes),
        *_render_bars(days, axes),
        f'<polyline class="live" points="{points}"/>',
        *_render_marks(days, axes),
        *_render_labels(days, axes),
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def _render_legend() -> Iterator[str]:
    x = LEFT + 5
    for name, words in LEGEND:
        yield f'<circle class="{name}" cx="{x}" cy="42" r="4"/>'
        yield f'<text x="{x + 9}" y="46">{words}</text>'
        x += 30 + len(words) * 7
    yield f'<line class="gone" x1="{x}" x2="{x}" y1="36" y2="48"/>'
    yield f'<text x="{x + 9}" y="46">not in that roster</text>'


def _render_grid(axes: Axes) -> Iterator[str]:
    step = max(100, axes.most // 400 * 100)
    for people in range(0, axes.most + 1, step):
        y = axes.get_y(people)
        yield f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y}" y2="{y}"/>'
        yield f'<text x="{LEFT - 8}" y="{y + 4}" text-anchor="end">{people:,}</text>'
    year, month = axes.first.year, axes.first.month
    while (first := date(year + month // 12, month % 12 + 1, 1)) <= axes.last:
        year, month = first.year, first.month
        x = axes.get_x(str(first))
        yield f'<line class="grid" x1="{x}" x2="{x}" y1="{HEIGHT - BOTTOM}" y2="{HEIGHT - BOTTOM + 5}"/>'
        yield f'<text x="{x}" y="{HEIGHT - 10}" text-anchor="middle">{MONTHS[month - 1]}</text>'


def _render_bars(days: Sequence[Day], axes: Axes) -> Iterator[str]:
    for day in days:
        if day.live - day.sent >= WORTH_A_BAR:
            x = axes.get_x(day.day)
            yield f'<line class="gone" x1="{x}" x2="{x}" y1="{axes.get_y(day.live)}" y2="{axes.get_y(day.sent)}"/>'


def _render_marks(days: Sequence[Day], axes: Axes) -> Iterator[str]:
    classes = {name for name, _ in LEGEND}
    for day in days:
        if day.became in classes:
            words = f"{day.day} {day.event.replace('-', ' ')}: {day.became} {' '.join(day.codes)}".strip()
            place = f'cx="{axes.get_x(day.day)}" cy="{TOP - 10}" r="4"'
            yield f'<circle class="{day.became}" {place}><title>{escape(words)}'
            yield "</title></circle>"


def _render_labels(days: Sequence[Day], axes: Axes) -> Iterator[str]:
    """What the days with a mark were, each once, upright beside its line."""
    last, said = -1.0, ""
    for day in days:
        x = axes.get_x(day.day)
        if day.mark and day.event != said and x - last >= LABEL_WIDTH:
            y = HEIGHT - BOTTOM - 6
            words = escape(day.event.replace("-", " "))
            yield f'<text class="label" transform="translate({x + 10:.1f} {y}) rotate(-90)">{words}</text>'
            last = x
        said = day.event
