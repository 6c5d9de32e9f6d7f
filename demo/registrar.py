"""The office that takes people in: gives each a number, a name and a username that nobody else has."""

from __future__ import annotations

import random
import unicodedata
from collections.abc import Sequence

from demo.district import Person
from demo.words import FAMILY_NAMES, GIVEN_NAMES


def simplify_name(name: str) -> str:
    """A name as it goes into usernames: ASCII letters, lower-case."""
    letters = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    return "".join(letter for letter in letters.lower() if letter.isalpha())


class Registrar:
    """Everything it gives out follows from the seed and the order of asking; nothing is given out twice."""

    def __init__(self, seed: int, domain: str = "springfield.example") -> None:
        self._domain = domain
        self._random = random.Random(seed)
        self._next_number = 1001
        self._taken: set[str] = set()

    def create_person(self, role: str, schools: tuple[str, ...], grade: str = "") -> Person:
        given_name, family_name = self._random.choice(GIVEN_NAMES), self._random.choice(FAMILY_NAMES)
        given, family = simplify_name(given_name), simplify_name(family_name)
        number, self._next_number = self._next_number, self._next_number + 1
        return Person(
            sourced_id=f"u-{number}",
            identifier=self._generate_identifier(),
            role=role,
            given_name=given_name,
            family_name=family_name,
            username=self._find_unused_name(f"{given[0]}{family}", ""),
            email=self._find_unused_name(f"{given}.{family}", f"@{self._domain}"),
            schools=schools,
            grade=grade,
        )

    def split_in_halves(self, people: Sequence[Person]) -> tuple[list[Person], list[Person]]:
        """The same people in two groups of a size, mixed anew each time."""
        mixed = self._random.sample(people, len(people))
        middle = (len(mixed) + 1) // 2
        return mixed[:middle], mixed[middle:]

    def pick_people(self, people: Sequence[Person], number: int) -> list[Person]:
        """That many of them, each at most once."""
        return self._random.sample(people, number)

    def _generate_identifier(self) -> str:
        # Six digits of which the first may be 0: a number that a spreadsheet would spoil.
        while (identifier := f"{self._random.randrange(1_000_000):06d}") in self._taken:
            continue
        self._taken.add(identifier)
        return identifier

    def _find_unused_name(self, wanted: str, ending: str) -> str:
        name, again = f"{wanted}{ending}", 1
        while name in self._taken:
            again += 1
            name = f"{wanted}{again}{ending}"
        self._taken.add(name)
        return name
