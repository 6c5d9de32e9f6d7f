"""Lists words of other products and of everyday language for keys and values of the YAML files, for hints."""

from reconciler.model.role import ROLE_NAMES
from reconciler.model.suggestion import fold_spelling

#: another word for a role -> the names that it may have here: the role of a roster, or that of the YAML files
_ROLES = {
    fold_spelling(other): tuple(filter(None, (names.yaml, role.value)))
    for role, names in ROLE_NAMES.items()
    for other in (role.value, names.oneroster_1_1, names.oneroster_1_2, names.yaml, *names.lti)
    if other
}

#: another word for a value -> the value, or several of which the first that is valid counts
VALUE_SYNONYMS: dict[str, str | tuple[str, ...]] = {
    **_ROLES,
    "instructor": ("instructor", "teacher"),
    "pupil": "student",
    "nightly": "daily",
    "every_day": "daily",
    "every_night": "daily",
    "day": "daily",
    "hour": "hourly",
    "every_hour": "hourly",
    "week": "weekly",
    "every_week": "weekly",
    "month": "monthly",
    "automatic": "auto",
    "automatically": "auto",
    "never": "manual",
    "on_demand": "manual",
    "inactive": "deactivated",
    "disabled": "deactivated",
    "suspended": ("suspend", "deactivated"),
    "enabled": "active",
    "rest": "api",
    "rest_api": "api",
    "ssh": "sftp",
    "csv": "zip",
    "upload": "zip",
    "mail": "email",
    "e_mail": "email",
    "login": "username",
    "student_id": "identifier",
    "remove": "delete",
    "latest": "newest",
    "oauth": ("oauth2",),
    "ssl": "tls",
}

#: another word for a key -> the key, or several of which the first that is valid counts
KEY_SYNONYMS: dict[str, str | tuple[str, ...]] = {
    "first_name": "given_name",
    "firstname": "given_name",
    "last_name": "family_name",
    "lastname": "family_name",
    "surname": "family_name",
    "mail": "email",
    "e_mail": "email",
    "login": "username",
    "user": "username",
    "tz": "timezone",
    "time_zone": "timezone",
    "hostname": "host",
    "server": ("host", "url"),
    "link": "url",
    "schedule": ("period", "frequency"),
    "interval": "period",
    "time": "at",
    "admins": "administrators",
}
