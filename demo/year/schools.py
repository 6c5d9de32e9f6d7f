"""The schools of the district, and how large it is played."""

from __future__ import annotations

from dataclasses import dataclass

from demo.district import School

ELEMENTARY = ("KG", "01", "02", "03", "04", "05")
GRADES = (*ELEMENTARY, "06", "07", "08", "09", "10", "11", "12")


@dataclass(frozen=True, slots=True)
class Scale:
    """name: as it is asked for. schools: pupils are per grade. every: on ordinary days, every how many one is played.
    pace: how much happens on a played day, 1 for a district of 1,200 that is played every day."""

    name: str
    schools: tuple[School, ...]
    day_step: int
    pace: float


def _build_schools(high: int, middle: int, evergreen: int, maple: int, lincoln: int) -> tuple[School, ...]:
    """Pupils per grade; one teacher for about every nine of them."""

    def school(name: str, title: str, grades: tuple[str, ...], pupils: int) -> School:
        return School(f"s-{name}", title, grades, pupils, max(2, pupils * len(grades) // 9))

    return (
        school("high", "Springfield High", ("09", "10", "11", "12"), high),
        school("middle", "Springfield Middle", ("06", "07", "08"), middle),
        school("evergreen", "Evergreen Elementary", ELEMENTARY, evergreen),
        school("maple", "Maple Street Elementary", ELEMENTARY, maple),
        school("lincoln", "Lincoln Elementary", ELEMENTARY, lincoln),
    )


WHOLE = Scale("whole", _build_schools(76, 80, 48, 32, 6), day_step=1, pace=1.0)
SMALL = Scale("small", _build_schools(19, 20, 12, 8, 2), day_step=12, pace=1.5)
SCALES = {scale.name: scale for scale in (WHOLE, SMALL)}
