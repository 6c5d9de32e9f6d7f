"""The year as numbers, a line for each roster: what the picture and the summary are made from."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Day:
    """day: `YYYY-MM-DD`. event: of the agenda, or empty. mark: what the picture shows it as.

    should: people who should have an account; live: who have one; sent: whom of them the day's roster names. added,
    removed, restored, rekeyed: people, as the plan counts them. held: people whom a hold kept. became: applied, held,
    approved or refused. codes: gates and limits that objected.
    """

    day: str
    event: str
    mark: str
    should: int
    live: int
    sent: int
    added: int
    removed: int
    restored: int
    rekeyed: int
    held: int
    became: str
    codes: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Series:
    seed: int
    scale: str
    days: Sequence[Day]

    def dump_json(self) -> str:
        """One line for each day."""
        lines = ",\n".join("  " + json.dumps(asdict(day)) for day in self.days)
        return f'{{"seed": {self.seed}, "scale": "{self.scale}", "days": [\n{lines}\n]}}\n'


def load_series(path: Path) -> Series:
    read = json.loads(path.read_text(encoding="utf-8"))
    return Series(read["seed"], read["scale"], _build_days(read["days"]))


def _build_days(rows: Iterable[dict[str, object]]) -> list[Day]:
    return [Day(**row) for row in rows]  # type: ignore[arg-type]
