"""The type of every column in both versions of the standard, as data.

Names, order and required marks are those of `reconciler.oneroster.standard.tables`. The texts here list columns that
are not plain text: `name=type`, with a `StrictType` or an enumeration of `WORDS`, and `name>file` for a sourcedId of
that file.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from reconciler.oneroster.standard.tables import COLUMNS_1_1, COLUMNS_1_2, FIRST_COLUMNS


class StrictType(Enum):
    """The type of a value, or of each item of a list. A pair is `{type:identifier}`."""

    TEXT = "text"
    GUID = "guid"
    DATE = "date"
    DATETIME = "datetime"
    YEAR = "year"
    BOOLEAN = "boolean"
    FLOAT = "float"
    INTEGER = "integer"
    PAIR = "pair"
    ENUMERATION = "enumeration"


@dataclass(frozen=True, slots=True)
class StrictColumn:
    """A column of a file."""

    name: str
    type: StrictType
    required: bool
    is_list: bool
    #: Stem of the file that a sourcedId refers to; None for no reference.
    target: str | None
    #: Words of an enumeration.
    words: tuple[str, ...]
    #: `ext:` words are allowed.
    extensible: bool

    @property
    def is_checked(self) -> bool:
        """Whether the column is read: an optional text without a type is not."""
        return self.required or self.is_list or self.type is not StrictType.TEXT


@dataclass(frozen=True, slots=True)
class StrictTable:
    """One file of one version, with its columns in order."""

    version: str
    #: The file's stem.
    name: str
    columns: tuple[StrictColumn, ...]

    @property
    def file(self) -> str:
        """The file's name."""
        return f"{self.name}.csv"

    @property
    def names(self) -> tuple[str, ...]:
        """The column names."""
        return tuple(column.name for column in self.columns)


WORDS: Mapping[str, tuple[str, ...]] = {
    "status": ("active", "tobedeleted"),
    "sessionType": ("gradingPeriod", "semester", "schoolYear", "term"),
    "orgType": ("department", "school", "district", "local", "state", "national"),
    "classType": ("homeroom", "scheduled"),
    "userRole": ("administrator", "aide", "guardian", "parent", "proctor", "relative", "student", "teacher"),
    "role": (
        "aide",
        "counselor",
        "districtAdministrator",
        "guardian",
        "parent",
        "principal",
        "proctor",
        "relative",
        "siteAdministrator",
        "student",
        "systemAdministrator",
        "teacher",
    ),
    "roleType": ("primary", "secondary"),
    "enrollmentRole": ("administrator", "proctor", "student", "teacher"),
    "sex": ("male", "female"),
    "sex2": ("male", "female", "unspecified", "other"),
    "importance": ("primary", "secondary"),
    "scoreStatus": ("exempt", "fully graded", "not submitted", "partially graded", "submitted"),
    "objectiveSource": ("case", "unknown"),
}

#: Enumerations that stay closed in 1.2.
CLOSED = frozenset({"status", "roleType", "importance"})

EVERY_FILE = "sourcedId=guid status=status dateLastModified=datetime "

_RACES = (
    "americanIndianOrAlaskaNative=boolean asian=boolean blackOrAfricanAmerican=boolean"
    " nativeHawaiianOrOtherPacificIslander=boolean white=boolean demographicRaceTwoOrMoreRaces=boolean"
    " hispanicOrLatinoEthnicity=boolean"
)

TYPES_1_1: Mapping[str, str] = {
    "academicSessions": "type=sessionType startDate=date endDate=date parentSourcedId>academicSessions schoolYear=year",
    "categories": "",
    "classes": "courseSourcedId>courses classType=classType schoolSourcedId>orgs termSourcedIds>academicSessions",
    "classResources": "classSourcedId>classes resourceSourcedId>resources",
    "courses": "schoolYearSourcedId>academicSessions orgSourcedId>orgs",
    "courseResources": "courseSourcedId>courses resourceSourcedId>resources",
    "demographics": f"sourcedId>users birthDate=date sex=sex {_RACES}",
    "enrollments": "classSourcedId>classes schoolSourcedId>orgs userSourcedId>users role=enrollmentRole primary=boolean"
    " beginDate=date endDate=date",
    "lineItems": "assignDate=date dueDate=date classSourcedId>classes categorySourcedId>categories"
    " gradingPeriodSourcedId>academicSessions resultValueMin=float resultValueMax=float",
    "orgs": "type=orgType parentSourcedId>orgs",
    "resources": "roles=userRole importance=importance",
    "results": "lineItemSourcedId>lineItems studentSourcedId>users scoreStatus=scoreStatus score=float scoreDate=date",
    "users": "enabledUser=boolean orgSourcedIds>orgs role=userRole userIds=pair agentSourcedIds>users",
}

TYPES_1_2: Mapping[str, str] = dict(TYPES_1_1) | {
    "categories": "weight=integer",
    "demographics": f"sourcedId>users birthDate=date sex=sex2 {_RACES}",
    "lineItemLearningObjectiveIds": "lineItemSourcedId>lineItems source=objectiveSource",
    "lineItems": "assignDate=date dueDate=date classSourcedId>classes categorySourcedId>categories"
    " academicSessionSourcedId>academicSessions resultValueMin=float resultValueMax=float schoolSourcedId>orgs",
    "lineItemScoreScales": "lineItemSourcedId>lineItems scoreScaleSourcedId>scoreScales",
    "resultLearningObjectiveIds": "resultSourcedId>results source=objectiveSource score=float",
    "results": "lineItemSourcedId>lineItems studentSourcedId>users scoreStatus=scoreStatus score=float scoreDate=date"
    " classSourcedId>classes inProgress=boolean incomplete=boolean late=boolean missing=boolean",
    "resultScoreScales": "resultSourcedId>results scoreScaleSourcedId>scoreScales",
    "roles": "userSourcedId>users roleType=roleType role=role beginDate=date endDate=date orgSourcedId>orgs"
    " userProfileSourcedId>userProfiles",
    "scoreScales": "orgSourcedId>orgs courseSourcedId>courses classSourcedId>classes",
    "userProfiles": "userSourcedId>users",
    "userResources": "userSourcedId>users orgSourcedId>orgs classSourcedId>classes resourceSourcedId>resources",
    "users": "enabledUser=boolean userIds=pair agentSourcedIds>users primaryOrgSourcedId>orgs",
}


def _parse_types(text: str) -> dict[str, tuple[str, str | None]]:
    """Return the word of the type or enumeration, and the target file or None, by column name."""
    pairs: dict[str, tuple[str, str | None]] = {}
    for word in text.split():
        name, mark, rest = word.partition(">" if ">" in word else "=")
        pairs[name] = ("guid", rest) if mark == ">" else (rest, None)
    return pairs


def _build_table(version: str, name: str, columns: str, types: str) -> StrictTable:
    typed = _parse_types(EVERY_FILE) | _parse_types(types)
    built = []
    for word in (FIRST_COLUMNS + columns).split():
        column = word.rstrip("![]")
        kind, target = typed.pop(column, ("text", None))
        built.append(
            StrictColumn(
                name=column,
                type=StrictType.ENUMERATION if kind in WORDS else StrictType(kind),
                required=word.endswith("!"),
                is_list="[]" in word,
                target=target,
                words=WORDS.get(kind, ()),
                extensible=version != "1.1" and kind in WORDS and kind not in CLOSED,
            )
        )
    if typed:
        raise AssertionError(f"{name} {version} has no columns {', '.join(typed)}")
    return StrictTable(version, name, tuple(built))


#: By version and stem.
TABLES: Mapping[str, Mapping[str, StrictTable]] = {
    version: {name: _build_table(version, name, text, types[name]) for name, text in columns.items()}
    for version, columns, types in (("1.1", COLUMNS_1_1, TYPES_1_1), ("1.2", COLUMNS_1_2, TYPES_1_2))
}
