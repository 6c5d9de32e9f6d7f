"""Builds JSON Schemas of the YAML files, from which editors complete and explain keys.

A schema describes one file, and a file may inherit: a key that defaults.yaml may set is not required, and may be null.
`validate` checks the files together for missing keys.
"""

from collections.abc import Collection
from datetime import timedelta
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema

from reconciler.config.models.community import Community
from reconciler.config.models.customer import Customer
from reconciler.config.models.defaults import NOT_INHERITED, NOT_INHERITED_BY_COMMUNITIES, Defaults
from reconciler.config.models.lesson import Lesson
from reconciler.config.models.partial import INDIVISIBLE_MODELS
from reconciler.config.models.settings import Settings
from reconciler.model.moment import format_duration

DIALECT = "https://json-schema.org/draft/2020-12/schema"

JsonSchema = dict[str, Any]


class _SchemaGenerator(GenerateJsonSchema):
    """Shows defaults as people write them."""

    def encode_default(self, dft: Any) -> Any:
        match dft:
            case timedelta():
                return format_duration(dft)
            case BaseModel():
                return dft.model_dump(mode="json", exclude_none=True)
            case _:
                return super().encode_default(dft)


def build_schemas() -> dict[str, JsonSchema]:
    """Return the JSON Schema of every kind of YAML document, by file name."""
    customer = _build_inheriting_schema(Customer, NOT_INHERITED)
    community = _build_inheriting_schema(Community, NOT_INHERITED_BY_COMMUNITIES)
    return {
        "customer.schema.json": _add_schema_id("customer", customer),
        "community.schema.json": _add_schema_id("community", community),
        "lesson.schema.json": _add_schema_id("lesson", _generate_schema(Lesson)),
        "defaults.schema.json": _add_schema_id("defaults", _build_defaults_schema(customer, community)),
        "reconciler.schema.json": _add_schema_id("reconciler", _generate_schema(Settings)),
    }


def _generate_schema(model: type[BaseModel]) -> JsonSchema:
    return model.model_json_schema(schema_generator=_SchemaGenerator)


def _add_schema_id(name: str, schema: JsonSchema) -> JsonSchema:
    return {"$schema": DIALECT, "$id": f"{name}.schema.json", **schema}


def _build_defaults_schema(customer: JsonSchema, community: JsonSchema) -> JsonSchema:
    """Return the schema of the keys that a customer inherits, and of those that a community inherits, below
    `community`."""
    below = {key: value for key, value in community.items() if key != "$defs"}
    below["properties"] = _select_inherited_keys(community, NOT_INHERITED_BY_COMMUNITIES)
    below["description"] = "Settings that every community below inherits."
    del below["required"]
    return {
        "$defs": {**customer["$defs"], **community["$defs"], "CommunityDefaults": below},
        "additionalProperties": False,
        "description": Defaults.__doc__,
        "properties": {
            "kind": {"const": "defaults", "description": "The kind of document.", "type": "string"},
            **_select_inherited_keys(customer, NOT_INHERITED),
            "community": {"anyOf": [{"$ref": "#/$defs/CommunityDefaults"}, {"type": "null"}]},
        },
        "required": ["kind"],
        "title": "Defaults",
        "type": "object",
    }


def _select_inherited_keys(schema: JsonSchema, own: Collection[str]) -> JsonSchema:
    return {key: value for key, value in schema["properties"].items() if key not in own}


def _build_inheriting_schema(model: type[BaseModel], own: Collection[str]) -> JsonSchema:
    """Return the model's schema; at every depth, keys other than its own may be missing or null."""
    schema = _generate_schema(model)
    loosened: set[str] = set()
    for key, value in schema["properties"].items():
        if key not in own:
            _make_keys_optional(value, schema["$defs"], loosened)
            schema["properties"][key] = _make_nullable(value)
    schema["required"] = [key for key in schema["required"] if key in own]
    return schema


def _make_keys_optional(node: JsonSchema, definitions: JsonSchema, loosened: set[str]) -> None:
    """Remove requirements inside references and choices, but not inside lists: a list replaces, so its items are
    complete."""
    if "oneOf" in node:
        # Without its type, which may be inherited, a mapping can match several choices.
        node["anyOf"] = node.pop("oneOf")
        node.pop("discriminator", None)
    for choice in node.get("anyOf", ()):
        _make_keys_optional(choice, definitions, loosened)
    name = str(node.get("$ref", "")).removeprefix("#/$defs/")
    if not name or name in loosened or name in {model.__name__ for model in INDIVISIBLE_MODELS}:
        return
    loosened.add(name)
    definition = definitions[name]
    definition.pop("required", None)
    for key, value in definition.get("properties", {}).items():
        _make_keys_optional(value, definitions, loosened)
        definition["properties"][key] = _make_nullable(value)


def _make_nullable(node: JsonSchema) -> JsonSchema:
    """Return a schema that also allows null, with its description in front, where editors look."""
    choices = node.get("anyOf", ())
    if {"type": "null"} in choices:
        return node
    annotations: JsonSchema = {key: node[key] for key in ("title", "description", "default") if key in node}
    value = {key: each for key, each in node.items() if key not in annotations}
    return {**annotations, "anyOf": [*(choices or [value]), {"type": "null"}]}
