"""Somebody of the district, whatever the rosters call them from day to day."""

from __future__ import annotations

from dataclasses import dataclass, field

from demo.district import Person


@dataclass(slots=True, eq=False)
class Member:
    """person: the row as the office has it now. here: belongs to the district. second: the sourcedId under which
    another school has them, with that school. seats: sourcedIds of their classes, in order. former: sourcedIds they
    had. since: how often they came back.

    account, password, subject, assignments: what the platform gave them; it is theirs for good.
    """

    number: int
    person: Person
    present: bool = True
    enabled: bool = True
    second: tuple[str, str] | None = None
    seats: dict[str, None] = field(default_factory=dict)
    former: list[str] = field(default_factory=list)
    account: int | None = None
    password: str | None = None
    subject: str | None = None
    assignments: set[int] = field(default_factory=set)

    @property
    def is_pupil(self) -> bool:
        return self.person.role == "student"

    @property
    def sourced_ids(self) -> tuple[str, ...]:
        return (self.person.sourced_id, self.second[0]) if self.second else (self.person.sourced_id,)

    @property
    def schools(self) -> tuple[str, ...]:
        return (*self.person.schools, self.second[1]) if self.second else self.person.schools

    def find_sourced_id(self, school: str) -> str:
        """The sourcedId under which that school knows them."""
        return self.second[0] if self.second and self.second[1] == school else self.person.sourced_id
