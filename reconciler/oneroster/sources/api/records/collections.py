"""Defines the collections of a OneRoster REST API as data: the order of requests, and the CSV column of each property.

In a row's text, `COLUMN<PROPERTY` is a column whose name differs from its property's, `[]` is a list, and `*` is a
reference (`{href, sourcedId, type}`), of which the sourcedId is kept. Other properties, such as passwords, userIds and
contacts, are dropped when a page is read: they never reach a checkpoint or a bundle.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from reconciler.oneroster.standard.tables import FIRST_COLUMNS


@dataclass(frozen=True, slots=True)
class Cell:
    """One property of a record and its CSV column."""

    #: of the CSV file
    column: str
    #: of the property; a list of references becomes a list of sourcedIds
    name: str
    reference: bool
    many: bool


@dataclass(frozen=True, slots=True)
class Collection:
    """One endpoint of the API and the CSV file that its records fill."""

    #: of the endpoint and of the file
    name: str
    #: of its envelope, the standard's first
    keys: tuple[str, ...]
    #: envelope key of a single record
    single: tuple[str, ...]
    #: without it there is no roster; the others may be missing (404)
    required: bool
    cells: tuple[Cell, ...]
    #: property whose items make rows of another file (`roles` of 1.2), with that file's cells
    nested: str | None = None
    nested_cells: tuple[Cell, ...] = ()

    @property
    def path(self) -> str:
        return f"/{self.name}"

    @property
    def files(self) -> tuple[str, ...]:
        """Stems of the files that hold its rows."""
        return (self.name, self.nested) if self.nested else (self.name,)


#: The standard names the key after the type; some servers name it after the path.
PAGE_KEYS = {
    "orgs": ("orgs", "schools"),
    "academicSessions": ("academicSessions", "terms", "gradingPeriods"),
    "courses": ("courses",),
    "classes": ("classes",),
    "users": ("users", "students", "teachers"),
    "enrollments": ("enrollments",),
}
RECORD_KEYS = {
    "orgs": ("org", "school"),
    "academicSessions": ("academicSession", "term", "gradingPeriod"),
    "courses": ("course",),
    "classes": ("class",),
    "users": ("user", "student", "teacher"),
    "enrollments": ("enrollment",),
}

ROWS_1_1 = {
    "orgs": "name type identifier parentSourcedId<parent*",
    "academicSessions": "title type startDate endDate parentSourcedId<parent* schoolYear",
    "courses": "title courseCode orgSourcedId<org*",
    "classes": "title grades[] courseSourcedId<course* classCode classType schoolSourcedId<school*"
    " termSourcedIds<terms*[]",
    "users": "enabledUser orgSourcedIds<orgs*[] role username givenName familyName middleName identifier email"
    " agentSourcedIds<agents*[] grades[]",
    "enrollments": "classSourcedId<class* schoolSourcedId<school* userSourcedId<user* role primary beginDate endDate",
}
ROWS_1_2 = ROWS_1_1 | {
    "users": "enabledUser username givenName familyName middleName identifier email agentSourcedIds<agents*[] grades[]"
    " primaryOrgSourcedId<primaryOrg*",
}
#: Items of `user.roles` in 1.2, which have no sourcedId and no endpoint.
ROLES_1_2 = "roleType role beginDate endDate orgSourcedId<org*"

#: Collections come after those that they refer to.
ORDER = ("orgs", "academicSessions", "courses", "classes", "users", "enrollments")
MAY_BE_MISSING = frozenset({"academicSessions", "courses"})

#: Column of an enrollment -> the collection that it refers to.
PARENTS = {"userSourcedId": "users", "classSourcedId": "classes", "schoolSourcedId": "orgs"}


def _parse_cells(text: str) -> tuple[Cell, ...]:
    cells = []
    for word in text.split():
        column, _, name = word.rstrip("*[]").partition("<")
        cells.append(Cell(column, name or column, "*" in word, "[]" in word))
    return tuple(cells)


def _build_collection(name: str, rows: Mapping[str, str], roles: str | None) -> Collection:
    nested = "roles" if name == "users" and roles else None
    first = FIRST_COLUMNS.replace("!", "")
    return Collection(
        name=name,
        keys=PAGE_KEYS[name],
        single=RECORD_KEYS[name],
        required=name not in MAY_BE_MISSING,
        cells=_parse_cells(first + rows[name]),
        nested=nested,
        nested_cells=_parse_cells(roles or "") if nested else (),
    )


#: By version, in the order of requests.
COLLECTIONS: Mapping[str, tuple[Collection, ...]] = {
    "1.1": tuple(_build_collection(name, ROWS_1_1, None) for name in ORDER),
    "1.2": tuple(_build_collection(name, ROWS_1_2, ROLES_1_2) for name in ORDER),
}
