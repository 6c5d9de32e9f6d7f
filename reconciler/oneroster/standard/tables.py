"""The OneRoster CSV standard, versions 1.1 and 1.2(.1), as data: files, their columns in order, enumerations.

In a table's text, `!` marks a column with required values and `[]` one with lists, as in the standard's tables. Every
file begins with `sourcedId`, `status` and `dateLastModified`. `IN_USE` lists the columns that reach a snapshot and
their names there; all others are dropped.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from reconciler.model.kind import Kind
from reconciler.model.role import ROLE_NAMES


class ValueType(Enum):
    """The type of a column in use."""

    TEXT = "text"
    REFERENCE = "reference"
    LIST = "list"
    BOOLEAN = "boolean"
    DATE = "date"
    ENUMERATION = "enumeration"


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a file."""

    #: In the standard.
    name: str
    value: ValueType
    #: A row without a value is quarantined.
    required: bool
    #: A file without the column is refused.
    must_exist: bool
    #: An empty value gives a warning.
    warn_if_empty: bool
    #: The snapshot's column; None if not in use.
    field: str | None
    #: The standard's word -> the snapshot's, for an enumeration.
    vocabulary: Mapping[str, str]
    #: `ext:` words are allowed.
    extensible: bool


@dataclass(frozen=True, slots=True)
class Table:
    """One CSV file of the standard."""

    #: The file's stem.
    name: str
    #: In the standard's order.
    columns: tuple[Column, ...]
    #: Misspellings seen in use, lowercase -> the column meant.
    aliases: Mapping[str, str]

    @property
    def file(self) -> str:
        """The file's name."""
        return f"{self.name}.csv"

    @property
    def columns_in_use(self) -> tuple[Column, ...]:
        """Columns that reach a snapshot."""
        return tuple(column for column in self.columns if column.field is not None)

    def list_inspected_columns(self, *, delta: bool) -> tuple[str, ...]:
        """Return the columns that are inspected but not kept; in a delta, dateLastModified too, which it requires."""
        names = COLUMNS_TO_INSPECT.get(self.name, ())
        return (*names, MODIFIED) if delta and MODIFIED not in names and self.name in KIND_OF else names

    @property
    def distinctive(self) -> frozenset[str]:
        """Lowercase names of the required columns, which tell this file from others."""
        return frozenset(column.name.lower() for column in self.columns if column.required) - {"sourcedid"}


@dataclass(frozen=True, slots=True)
class Standard:
    """One version of the standard."""

    version: str
    #: By file stem.
    tables: Mapping[str, Table]
    #: Stems of files that a full roster must have.
    required: tuple[str, ...]
    #: Stems of files whose rows are only counted.
    count_only: frozenset[str]


FIRST_COLUMNS = "sourcedId! status dateLastModified "

COLUMNS_1_1 = {
    "academicSessions": "title! type! startDate! endDate! parentSourcedId schoolYear!",
    "categories": "title!",
    "classes": "title! grades[] courseSourcedId! classCode classType! location schoolSourcedId! termSourcedIds[]!"
    " subjects[] subjectCodes[] periods[]",
    "classResources": "title classSourcedId! resourceSourcedId!",
    "courses": "schoolYearSourcedId title! courseCode grades[] orgSourcedId! subjects[] subjectCodes[]",
    "courseResources": "title courseSourcedId! resourceSourcedId!",
    "demographics": "birthDate sex americanIndianOrAlaskaNative asian blackOrAfricanAmerican"
    " nativeHawaiianOrOtherPacificIslander white demographicRaceTwoOrMoreRaces hispanicOrLatinoEthnicity"
    " countryOfBirthCode stateOfBirthAbbreviation cityOfBirth publicSchoolResidenceStatus",
    "enrollments": "classSourcedId! schoolSourcedId! userSourcedId! role! primary beginDate endDate",
    "lineItems": "title! description assignDate! dueDate! classSourcedId! categorySourcedId!"
    " gradingPeriodSourcedId! resultValueMin! resultValueMax!",
    "orgs": "name! type! identifier parentSourcedId",
    "resources": "vendorResourceId! title roles[] importance vendorId applicationId",
    "results": "lineItemSourcedId! studentSourcedId! scoreStatus! score! scoreDate! comment",
    "users": "enabledUser! orgSourcedIds[]! role! username! userIds[] givenName! familyName! middleName identifier"
    " email sms phone agentSourcedIds[] grades[] password",
}

COLUMNS_1_2 = COLUMNS_1_1 | {
    "categories": "title! weight",
    "lineItemLearningObjectiveIds": "lineItemSourcedId! source! learningObjectiveId!",
    "lineItems": "title! description assignDate! dueDate! classSourcedId! categorySourcedId!"
    " academicSessionSourcedId! resultValueMin resultValueMax schoolSourcedId!",
    "lineItemScoreScales": "title lineItemSourcedId! scoreScaleSourcedId!",
    "resultLearningObjectiveIds": "resultSourcedId! source! learningObjectiveId! score textScore",
    "results": "lineItemSourcedId! studentSourcedId! scoreStatus! score scoreDate! comment textScore classSourcedId"
    " inProgress incomplete late missing",
    "resultScoreScales": "title resultSourcedId! scoreScaleSourcedId!",
    "roles": "userSourcedId! roleType! role! beginDate endDate orgSourcedId! userProfileSourcedId",
    "scoreScales": "title! type! orgSourcedId! courseSourcedId! classSourcedId! scoreScaleValue[]!",
    "userProfiles": "userSourcedId! profileType! vendorId! applicationId description credentialType! username!"
    " password",
    "userResources": "userSourcedId! orgSourcedId classSourcedId resourceSourcedId!",
    "users": "enabledUser! username! userIds[] givenName! familyName! middleName identifier email sms phone"
    " agentSourcedIds[] grades[] password userMasterIdentifier preferredGivenName preferredMiddleName"
    " preferredFamilyName primaryOrgSourcedId pronouns",
}

#: File -> the standard's column -> the snapshot's. `orgs`, `role` and `primary_org` of users go into the roles frame.
IN_USE: dict[str, dict[str, str]] = {
    "orgs": {"name": "name", "type": "type", "identifier": "identifier", "parentSourcedId": "parent"},
    "users": {
        "enabledUser": "enabled",
        "orgSourcedIds": "orgs",
        "role": "role",
        "username": "username",
        "givenName": "given_name",
        "familyName": "family_name",
        "middleName": "middle_name",
        "identifier": "identifier",
        "email": "email",
        "grades": "grades",
        "primaryOrgSourcedId": "primary_org",
    },
    "roles": {
        "userSourcedId": "user",
        "roleType": "role_type",
        "role": "role",
        "beginDate": "begin_date",
        "endDate": "end_date",
        "orgSourcedId": "org",
    },
    "classes": {
        "title": "title",
        "classCode": "class_code",
        "classType": "class_type",
        "schoolSourcedId": "school",
        "courseSourcedId": "course",
        "termSourcedIds": "terms",
        "grades": "grades",
    },
    "enrollments": {
        "classSourcedId": "class",
        "userSourcedId": "user",
        "role": "role",
        "primary": "primary",
        "beginDate": "begin_date",
        "endDate": "end_date",
    },
    "courses": {},
    "academicSessions": {"startDate": "start", "endDate": "end", "parentSourcedId": "parent"},
}

#: Columns that are inspected and never enter a frame: the last change, and the guardians of a person.
MODIFIED, AGENTS = "dateLastModified", "agentSourcedIds"
COLUMNS_TO_INSPECT = {"orgs": (MODIFIED,), "users": (MODIFIED, AGENTS), "classes": (MODIFIED,)}

#: The kind of record that a bad row of a file protects. A role belongs to its user.
KIND_OF = {
    "orgs": Kind.ORG,
    "users": Kind.USER,
    "roles": Kind.USER,
    "classes": Kind.CLASS,
    "enrollments": Kind.ENROLLMENT,
}

#: Required columns that an export may leave out, because courses and terms are optional here.
MAY_BE_MISSING = frozenset({("classes", "courseSourcedId"), ("classes", "termSourcedIds")})
#: Required columns that may be empty, with a warning.
MAY_BE_EMPTY = frozenset({("users", "username"), ("classes", "classType")})

STATUS = {word: word for word in ("active", "tobedeleted", "inactive")}
ENROLLMENT_ROLES = {names.enrollment: role.value for role, names in ROLE_NAMES.items() if names.enrollment}

ENUMERATIONS_1_1: dict[tuple[str, str], dict[str, str]] = {
    ("orgs", "type"): {word: word for word in ("department", "school", "district", "local", "state", "national")},
    ("classes", "classType"): {word: word for word in ("homeroom", "scheduled")},
    ("users", "role"): {names.oneroster_1_1: role.value for role, names in ROLE_NAMES.items() if names.oneroster_1_1},
    ("enrollments", "role"): ENROLLMENT_ROLES,
}
ENUMERATIONS_1_2 = ENUMERATIONS_1_1 | {
    ("roles", "roleType"): {word: word for word in ("primary", "secondary")},
    ("roles", "role"): {names.oneroster_1_2: role.value for role, names in ROLE_NAMES.items() if names.oneroster_1_2},
}

#: Misspellings seen in real exports, lowercase -> the column meant.
ALIASES = {
    "datalastmodified": "dateLastModified",
    "prefferedgivenname": "preferredGivenName",
    "prefferedmiddlename": "preferredMiddleName",
    "prefferedfamilyname": "preferredFamilyName",
}

#: Enumerations with `ext:` words (1.2). Enrollments have none: the role would be unknown.
EXTENSIBLE = frozenset({("orgs", "type"), ("classes", "classType"), ("roles", "role")})

BOOLEANS = frozenset({"enabledUser", "primary"})
DATES = frozenset({"beginDate", "startDate", "endDate"})


def _build_column(
    version: str, file: str, word: str, enumerations: Mapping[tuple[str, str], Mapping[str, str]]
) -> Column:
    name = word.rstrip("![]")
    required = word.endswith("!")
    allowed = STATUS if name == "status" else enumerations.get((file, name), {})
    if allowed:
        value = ValueType.ENUMERATION
    elif name in BOOLEANS:
        value = ValueType.BOOLEAN
    elif name in DATES:
        value = ValueType.DATE
    elif "[]" in word:
        value = ValueType.LIST
    else:
        value = ValueType.REFERENCE if name.lower().endswith("sourcedid") else ValueType.TEXT
    fields = {"sourcedId": "sourced_id", "status": "status"} | IN_USE[file] if file in IN_USE else {}
    return Column(
        name=name,
        value=value,
        required=required and (file, name) not in MAY_BE_MISSING | MAY_BE_EMPTY,
        must_exist=required and name in fields and (file, name) not in MAY_BE_MISSING,
        warn_if_empty=(file, name) in MAY_BE_EMPTY,
        field=fields.get(name),
        vocabulary=allowed,
        extensible=version != "1.1" and (file, name) in EXTENSIBLE,
    )


def _build_standard(
    version: str,
    columns: Mapping[str, str],
    enumerations: Mapping[tuple[str, str], Mapping[str, str]],
    required: tuple[str, ...],
) -> Standard:
    tables = {
        file: Table(
            file,
            tuple(_build_column(version, file, word, enumerations) for word in (FIRST_COLUMNS + text).split()),
            ALIASES,
        )
        for file, text in columns.items()
    }
    return Standard(version, tables, required, frozenset(tables) - frozenset(IN_USE))


STANDARDS = {
    "1.1": _build_standard("1.1", COLUMNS_1_1, ENUMERATIONS_1_1, ("orgs", "users", "classes", "enrollments")),
    "1.2": _build_standard("1.2", COLUMNS_1_2, ENUMERATIONS_1_2, ("orgs", "users", "roles", "classes", "enrollments")),
}

#: Personal data that is not wanted: never read into a frame, and reported.
UNWANTED_FILES = frozenset({"demographics", "userProfiles"})
UNWANTED_COLUMNS = frozenset({"password"})

MANIFEST = "manifest"
MANIFEST_VERSIONS = ("1.0",)
MODES = ("absent", "bulk", "delta")
