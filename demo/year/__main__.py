"""`python -m demo.year`: plays the year, prints a calm summary, ends with 1 if anybody was lost or doubled."""

from __future__ import annotations

import argparse
import gc
import shutil
import sys
from pathlib import Path

from demo.year.agenda import NAMES, NEEDED
from demo.year.life import HABITS
from demo.year.picture import render_picture
from demo.year.play import Evening, Year
from demo.year.program import CommandFailure
from demo.year.schools import SCALES
from demo.year.series import Series
from demo.year.summary import summarize_year

ROOT = Path(__file__).resolve().parents[2]
SEED = 20260824
SWITCHES = tuple(name for name in (*NAMES, *HABITS) if name not in NEEDED)
SHOWN = 12


def main(arguments: list[str] | None = None) -> int:
    asked = _parse_arguments(arguments)
    # as the program itself does: many objects that stay, few cycles among them
    gc.set_threshold(50_000, 20, 20)
    folder = ROOT / ".demo" / "year"
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    store = asked.store or f"sqlite:///{folder / 'store.db'}"
    year = Year(folder, store, asked.seed, SCALES[asked.scale], frozenset(asked.without))
    days, wrong = [], 0
    try:
        for evening in year.run_evenings():
            days.append(evening.day)
            wrong += len(evening.problems)
            if asked.verbose or evening.problems:
                _print_evening(evening)
    except CommandFailure as unexpected:
        print(f"The year stopped after {days[-1].day if days else 'no day'}: {unexpected}", file=sys.stderr)
        return 1
    series = Series(asked.seed, asked.scale, days)
    print(summarize_year(series, year.office, wrong))
    print(f"{year.seconds:.0f} seconds", file=sys.stderr)
    if asked.record and not wrong:
        (asked.record / "year.json").write_text(series.dump_json(), encoding="utf-8")
        (asked.record / "year.svg").write_text(render_picture(series), encoding="utf-8")
    return 1 if wrong else 0


def _parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m demo.year", description=__doc__)
    parser.add_argument("--scale", choices=SCALES, default="whole")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--store", help="URL of a store that nobody has used; default a SQLite file in .demo/year")
    parser.add_argument("--without", action="append", default=[], choices=SWITCHES, metavar="EVENT")
    parser.add_argument("--record", type=Path, metavar="DIR", help="write year.json and year.svg there")
    parser.add_argument("--verbose", action="store_true", help="a line for each day")
    return parser.parse_args(arguments)


def _print_evening(evening: Evening) -> None:
    day = evening.day
    print(
        f"{day.day} {day.event or '-':<30} {day.became:<9} should {day.should} live {day.live} "
        f"+{day.added} -{day.removed} restored {day.restored} rekeyed {day.rekeyed} held {day.held} "
        f"{' '.join(day.codes)}"
    )
    for problem in evening.problems[:SHOWN]:
        print(f"    {problem}")
    if len(evening.problems) > SHOWN:
        print(f"    … {len(evening.problems) - SHOWN} more")


if __name__ == "__main__":
    sys.exit(main())
