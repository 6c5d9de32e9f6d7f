"""Maps the paths of a OneRoster service to their records, sub-collections included."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from tests.support.roster_server.records import Record

Test = Callable[[Record], bool]


class UnknownError(Exception):
    """There is no such path, or no record of this id."""


@dataclass(frozen=True)
class Place:
    """What a path leads to: records of one type. collection: the path's last word; single: one record by its id."""

    type: str
    collection: str
    records: list[Record]
    single: bool = False


def _everything(_: Record) -> bool:
    return True


def _of_type(word: str) -> Test:
    return lambda record: record["type"] == word


def _of_role(word: str) -> Test:
    return lambda record: word in (record.get("role"), *(role["role"] for role in record.get("roles") or ()))


#: path -> type of its records, and which of them. The envelope's key goes by the type.
COLLECTIONS: dict[str, tuple[str, Test]] = {
    "academicSessions": ("academicSession", _everything),
    "classes": ("class", _everything),
    "courses": ("course", _everything),
    "demographics": ("demographics", _everything),
    "enrollments": ("enrollment", _everything),
    "gradingPeriods": ("academicSession", _of_type("gradingPeriod")),
    "orgs": ("org", _everything),
    "schools": ("org", _of_type("school")),
    "students": ("user", _of_role("student")),
    "teachers": ("user", _of_role("teacher")),
    "terms": ("academicSession", _of_type("term")),
    "users": ("user", _everything),
}


class Places:
    """records: by type, as they are to be found."""

    def __init__(self, records: dict[str, list[Record]]) -> None:
        self._records = records
        self._whole: dict[str, Place] = {}

    def at(self, parts: Sequence[str]) -> Place:
        """The place of a path below the base address, cut at its slashes. Raises UnknownError."""
        collection, *rest = parts
        if collection not in COLLECTIONS:
            raise UnknownError(f"there is no endpoint {collection}")
        if not rest:
            return self._collection(collection)
        parent = self._single(collection, rest[0])
        match rest[1:]:
            case []:
                return parent
            case [sub]:
                return self._below(collection, rest[0], sub)
            case ["classes", class_id, sub] if collection == "schools":
                found = self._single("classes", class_id).records[0]
                if _id(found, "school") != rest[0]:
                    raise UnknownError(f"there is no such class in school {rest[0]}")
                return self._below("classes", class_id, sub)
        raise UnknownError("there is no such endpoint")

    def _collection(self, name: str) -> Place:
        if name not in self._whole:
            type_, test = COLLECTIONS[name]
            records = self._records[type_]
            self._whole[name] = Place(type_, name, records if test is _everything else [r for r in records if test(r)])
        return self._whole[name]

    def _single(self, collection: str, sourced_id: str) -> Place:
        place = self._collection(collection)
        found = [record for record in place.records if record["sourcedId"] == sourced_id]
        if not found:
            raise UnknownError(f"there is no {place.type} of this sourcedId")
        return Place(place.type, collection, found[:1], single=True)

    def _below(self, home: str, sourced_id: str, sub: str) -> Place:
        if (home, sub) not in _SUBS:
            raise UnknownError(f"there is no endpoint {sub} below {home}")
        place = self._collection(sub)
        test = _SUBS[home, sub](self, sourced_id)
        return Place(place.type, sub, [record for record in place.records if test(record)])

    def enrolled(self, name: str, wanted: str, other: str, role: str | None = None) -> frozenset[str | None]:
        """Ids of the `other` end of the enrollments whose `name` end is the wanted one."""
        return frozenset(
            _id(each, other)
            for each in self._records["enrollment"]
            if _id(each, name) == wanted and role in (None, each["role"])
        )

    def classes_of(self, school: str) -> list[Record]:
        return [each for each in self._records["class"] if _id(each, "school") == school]


def _id(record: Record, name: str) -> str | None:
    found = record.get(name)
    return found["sourcedId"] if found else None


def _ids(references: Iterable[Record] | None) -> frozenset[str]:
    return frozenset(each["sourcedId"] for each in references or ())


def _member(school: str) -> Test:
    return lambda user: school in _ids(user.get("orgs")) | _ids(role["org"] for role in user.get("roles") or ())


def _leads_to(name: str) -> Callable[[Places, str], Test]:
    return lambda _, wanted: lambda record: _id(record, name) == wanted


def _in_class(role: str) -> Callable[[Places, str], Test]:
    def test(places: Places, class_id: str) -> Test:
        users = places.enrolled("class", class_id, "user", role)
        return lambda user: user["sourcedId"] in users

    return test


def _classes_of_user(places: Places, user: str) -> Test:
    classes = places.enrolled("user", user, "class")
    return lambda record: record["sourcedId"] in classes


def _terms_of_school(places: Places, school: str) -> Test:
    terms = frozenset(term for each in places.classes_of(school) for term in _ids(each["terms"]))
    return lambda session: session["sourcedId"] in terms


_SUBS: dict[tuple[str, str], Callable[[Places, str], Test]] = {
    ("classes", "enrollments"): _leads_to("class"),
    ("classes", "students"): _in_class("student"),
    ("classes", "teachers"): _in_class("teacher"),
    ("courses", "classes"): _leads_to("course"),
    ("schools", "classes"): _leads_to("school"),
    ("schools", "courses"): _leads_to("org"),
    ("schools", "enrollments"): _leads_to("school"),
    ("schools", "students"): lambda _, school: _member(school),
    ("schools", "teachers"): lambda _, school: _member(school),
    ("schools", "terms"): _terms_of_school,
    ("students", "classes"): _classes_of_user,
    ("teachers", "classes"): _classes_of_user,
    ("terms", "classes"): lambda _, term: lambda record: term in _ids(record["terms"]),
    ("terms", "gradingPeriods"): _leads_to("parent"),
    ("users", "classes"): _classes_of_user,
}
