"""Writes the documentation's reference of YAML keys from the models."""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from enum import Enum
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from reconciler.config.fields.values import (
    CLOCK_PATTERN,
    COUNTRY_PATTERN,
    DURATION_PATTERNS,
    EMAIL_PATTERN,
    HOST_PATTERN,
    ID_PATTERN,
)
from reconciler.config.models.community import Community
from reconciler.config.models.customer import Customer
from reconciler.config.models.lesson import Lesson
from reconciler.config.models.limits import Limits
from reconciler.config.models.rostering import OneRosterRostering
from reconciler.config.models.settings import Settings
from reconciler.model.moment import format_duration

Schema = Mapping[str, Any]

#: pattern -> description of the text that matches it
KINDS = {
    CLOCK_PATTERN: "time of day, such as `02:30`",
    COUNTRY_PATTERN: "two capital letters (ISO 3166)",
    **dict.fromkeys(DURATION_PATTERNS, "duration, such as `30m`, `8h` or `7d`"),
    EMAIL_PATTERN: "email address",
    HOST_PATTERN: "host name or address",
    ID_PATTERN: "ID: lowercase letters, digits, single hyphens",
}
#: the keys that choose one of several models
DISCRIMINATORS = {"type", "backend"}
#: the keys of models that are shown as one value
SHOWN_AS_VALUES = {"secret", "generated"}
TABLE_HEAD = "| key | value | default | meaning |\n| --- | --- | --- | --- |"

CUSTOMER_HEAD = """\
# customer.yaml

`customers/ID/customer.yaml` describes one customer. The folder's name is the customer's ID.

Rules for every document:

- Unknown keys, duplicate keys, YAML aliases and merge keys are errors.
- A missing key inherits from the nearest `defaults.yaml`, then from the folders above it. `null` clears an inherited
  value. A list replaces an inherited list.
- Dates are inclusive.
- A secret is a reference, `{secret: NAME}`. A literal value in its place is an error; the message does not repeat it.

A `defaults.yaml` (`kind: defaults`) takes the keys of a customer except `id`, `previously`, `name`,
`administrators` and `address`. Its key `community:` holds what every community below inherits.
"""

ROSTERING_HEAD = """\
# rostering

The key `rostering` of [customer.yaml](customer.md) sets the source of a customer's people. With `type: manual`, the
default, no roster is synced. With `type: oneroster`:
"""

COMMUNITY_HEAD = """\
# communities and lessons

`customers/CUSTOMER/communities/ID.yaml` describes a community: a site license, its members and their lessons. The
file's name is the community's ID.
"""

LESSON_HEAD = """\
## Lessons

`customers/CUSTOMER/lessons/ID.yaml` is a lesson of one customer. `customers/lessons/ID.yaml` is a lesson of the shared
catalog.
"""

POLICY = "`{limits: {…}}`, as [rostering.limits](rostering.md#rosteringlimits)"

SETTINGS_HEAD = """\
# reconciler.yaml

`reconciler.yaml` is next to the `customers` folder. It lists the environments and the settings for all customers.
Without the file there is one environment, with the store `sqlite:///.reconciler/store.db` and secrets from environment
variables.
"""

LIMITS_HEAD = """\
# Limits

A limit sets how much a roster may remove or change without approval. A customer sets limits under
[`rostering.limits`](yaml/rostering.md#rosteringlimits).

**Allowed** is the larger of `floor` and `percent` of the active rows, rounded down. Active people are accounts that the
roster manages, without administrators and deleted accounts. A person of two schools counts in both.

Removals add up over `window`: ten small removals in a week count as one large removal.

An exceeded limit **holds** all changes that it counts, and everything that depends on them. All other changes are
applied. These changes always wait for approval, whatever the limits are:

- the removal of all people of a school that had two or more;
- the removal of a customer or community from git.

`policy.limits` in [reconciler.yaml](yaml/reconciler.md) sets ceilings that no customer may exceed.

| key | counts | default |
| --- | --- | --- |
"""


def render_pages() -> dict[str, str]:
    """Return Markdown by file name below `docs/reference`."""
    return {
        "yaml/customer.md": _render_page(CUSTOMER_HEAD, Customer, without={"rostering": "[rostering](rostering.md)"}),
        "yaml/rostering.md": _render_page(ROSTERING_HEAD, OneRosterRostering, at="rostering"),
        "yaml/communities.md": _render_page(COMMUNITY_HEAD, Community) + "\n" + _render_page(LESSON_HEAD, Lesson),
        "yaml/reconciler.md": _render_page(SETTINGS_HEAD, Settings, without={"policy": POLICY}),
        "limits.md": LIMITS_HEAD + "".join(_render_limit_rows()),
    }


def _render_page(head: str, model: type[BaseModel], *, at: str = "", without: Mapping[str, str] | None = None) -> str:
    return "\n".join([head, *_render_sections(model, at, without or {}, heading=False)]).rstrip("\n") + "\n"


def _render_sections(model: type[BaseModel], at: str, elsewhere: Mapping[str, str], *, heading: bool) -> Iterator[str]:
    """Yield a section for the model and one for each model below it. elsewhere: keys with a page of their own."""
    if heading:
        yield f"## {at}\n\n{model.__doc__ or ''}\n"
    properties = model.model_json_schema()["properties"]
    definitions = model.model_json_schema().get("$defs", {})
    rows, below = [TABLE_HEAD], []
    for name, field in model.model_fields.items():
        key = field.alias or name
        path = f"{at}.{key}" if at else key
        models = [] if key in elsewhere else list(_find_models(field.annotation))
        below += [(each, _format_heading(path, each, len(models))) for each in models]
        value = elsewhere.get(key) or _describe_value(properties[key], definitions, models, path)
        rows.append(f"| `{key}` | {value} | {_format_default(field)} | {_get_meaning(field, models)} |")
    yield "\n".join(rows) + "\n"
    for nested_model, path in below:
        yield from _render_sections(nested_model, path, {}, heading=True)


def _format_heading(path: str, model: type[BaseModel], choices: int) -> str:
    """Return the path of a section; one of several choices names the value that chooses it."""
    if choices == 1:
        return path
    for name in DISCRIMINATORS & model.model_fields.keys():
        return f"{path} ({name}: {get_args(model.model_fields[name].annotation)[0]})"
    return path


def _find_models(annotation: Any) -> Iterator[type[BaseModel]]:
    """Yield the models of a value, also inside lists and mappings, except references to secrets."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        if not annotation.model_fields.keys() <= SHOWN_AS_VALUES:
            yield annotation
    elif get_origin(annotation) in (Annotated, Union, UnionType, tuple, list, dict):
        for each in get_args(annotation):
            yield from _find_models(each)


def _describe_value(schema: Schema, definitions: Schema, models: list[type[BaseModel]], path: str) -> str:
    if models:
        links = ", ".join(
            f"[{_format_heading(path, each, len(models))}](#{_build_anchor(path, each, len(models))})"
            for each in models
        )
        return f"list of {links}" if "array" in str(schema.get("type")) else links
    return _describe_kind(schema, definitions)


def _build_anchor(path: str, model: type[BaseModel], choices: int) -> str:
    kept = "".join(each for each in _format_heading(path, model, choices).lower() if each.isalnum() or each in " -_")
    return "-".join(kept.split())


def _describe_kind(schema: Schema, definitions: Schema) -> str:
    """Return a description of a schema's values in words."""
    if "$ref" in schema:
        return _describe_kind(definitions[schema["$ref"].rpartition("/")[2]], definitions)
    for choices in ("anyOf", "oneOf"):
        if choices in schema:
            kinds = [_describe_kind(each, definitions) for each in schema[choices] if each.get("type") != "null"]
            return " or ".join(dict.fromkeys(kinds))
    if "const" in schema:
        return f"`{schema['const']}`"
    if "enum" in schema:
        return ", ".join(f"`{each}`" for each in schema["enum"])
    match schema.get("type"):
        case "array":
            return f"list of: {_describe_kind(schema['items'], definitions)}"
        case "object":
            return "`{secret: NAME}`" if "secret" in schema["properties"] else "`{generated: true}`"
        case "integer":
            return _describe_number(schema)
        case "boolean":
            return "`true`, `false`"
    return "date" if schema.get("format") == "date" else KINDS.get(str(schema.get("pattern")), "text")


def _describe_number(schema: Schema) -> str:
    least, most = schema.get("minimum"), schema.get("maximum")
    if most is not None:
        return f"number, {least} to {most}"
    return f"number, {least} or more" if least is not None else "number"


def _format_default(field: FieldInfo) -> str:
    if field.is_required():
        return "**required**"
    match field.default:
        case None | ():
            return ""
        case timedelta() as duration:
            return f"`{format_duration(duration)}`"
        case bool() as flag:
            return f"`{str(flag).lower()}`"
        case Enum() as choice:
            return f"`{choice.value}`"
        case str() | int() as plain:
            return f"`{plain}`"
    return ""


def _get_meaning(field: FieldInfo, models: list[type[BaseModel]]) -> str:
    text = field.description or (models[0].__doc__ if models else "") or ""
    return " ".join(text.split()).replace("|", "\\|")


def _render_limit_rows() -> Iterator[str]:
    for name, field in Limits.model_fields.items():
        values = field.default
        shown = (
            ", ".join(f"`{key}: {value}`" for key, value in values)
            if isinstance(values, BaseModel)
            else _format_default(field)
        )
        yield f"| `{name}` | {_get_meaning(field, [])} | {shown} |\n"
