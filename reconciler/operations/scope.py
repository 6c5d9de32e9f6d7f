"""What the configuration says of a roster: the part it selects, the season that the day is in, who is one person."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from reconciler.config.models.rostering import Merge
from reconciler.config.models.rostering import Season as ConfiguredSeason
from reconciler.config.models.rostering import Selection as ConfiguredSelection
from reconciler.model.diagnostic import Span
from reconciler.planning.merging import Entry
from reconciler.planning.seasons import Mode, Season
from reconciler.planning.selection import Selection

SELECT = "rostering.select."
CALENDAR = "rostering.calendar"
MERGES = "rostering.merges"


def selection_of(selection: ConfiguredSelection | None, origins: Mapping[str, Span]) -> Selection | None:
    """None where everything is selected. origins: of the customer's document."""
    if selection is None:
        return None
    roles = None if selection.roles is None else tuple(role.value for role in selection.roles)
    criteria = (selection.schools, selection.grades, roles, selection.classes)
    if all(each is None for each in criteria):
        return None
    spans = {path.removeprefix(SELECT): span for path, span in origins.items() if path.startswith(SELECT)}
    return Selection(*criteria, spans=spans)


def season_of(calendar: Sequence[ConfiguredSeason], today: str, origins: Mapping[str, Span]) -> Season | None:
    """The season of a day (YYYY-MM-DD, where the customer is), its last day included: of several the strictest, and of
    these the one that lasts longest."""
    found = [
        Season(Mode(each.mode), each.to.isoformat(), origins.get(f"{CALENDAR}.{place}") or origins.get(CALENDAR))
        for place, each in enumerate(calendar)
        if each.from_.isoformat() <= today <= each.to.isoformat()
    ]
    return max(found, key=lambda season: (season.mode is Mode.FREEZE, season.until), default=None)


def entries_of(merges: Sequence[Merge], origins: Mapping[str, Span]) -> tuple[Entry, ...]:
    """Who is one person, each with where that is written. origins: of the customer's document."""
    return tuple(
        Entry(each.keep, each.merge, origins.get(f"{MERGES}.{place}") or origins.get(MERGES))
        for place, each in enumerate(merges)
    )
