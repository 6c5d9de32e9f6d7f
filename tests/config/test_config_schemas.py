"""The JSON Schemas say what the reader says, as far as one file alone can tell."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from ruamel.yaml import YAML

from reconciler.config.schema import build_schemas
from tests.support.customers.files import Files

SCHEMAS = build_schemas()

#: the documents of contract.md, their ellipses filled in
CUSTOMER: dict[str, Any] = {
    "kind": "customer",
    "id": "springfield",
    "previously": [],
    "name": "Springfield Unified School District",
    "profile": {"description": "A district", "website": "https://springfield.example", "phone": "+1 555 0100"},
    "administrators": [
        {
            "given_name": "Ann",
            "family_name": "Bee",
            "email": "ann@springfield.example",
            "username": "ann",
            "role": "admin",
            "password": {"secret": "admin-password"},
        }
    ],
    "address": {"street": ["1 Main"], "city": "S", "region": "IL", "postal_code": "02134", "country": "US"},
    "agreements": {"privacy_policy": "2026-08-01", "terms_of_service": "2026-08-01"},
    "status": "active",
    "timezone": "America/Chicago",
    "support": {"email": "help@springfield.example", "url": "https://springfield.example/help"},
    "lti": {
        "platforms": [
            {
                "id": "canvas",
                "version": "1.1",
                "consumer_key": "springfield-canvas",
                "shared_secret": {"secret": "canvas"},
                "previous_secret": {"secret": "canvas-old"},
                "origins": ["https://springfield.instructure.example"],
                "community": "springfield-high",
            }
        ]
    },
    "rostering": {
        "type": "oneroster",
        "version": "1.1",
        "client_partner_id": "org-springfield",
        "match_with": "identifier",
        "suffix": "@springfield",
        "sync": {"type": "zip"},
        "select": {"schools": ["s"], "grades": ["07"], "roles": ["student"], "classes": ["c"]},
        "missing": "delete",
        "limits": {
            "window": "7d",
            "users": {"percent": 10, "per_school_percent": 25, "floor": 5},
            "classes": {"percent": 25, "floor": 5},
            "enrollments": {"percent": 25, "floor": 20},
            "rekeys": {"percent": 20, "floor": 20},
            "updates": {"percent": 50, "floor": 50},
            "scope_narrowed": {"percent": 10, "floor": 5},
            "role_escalations": {"count": 0},
        },
        "protect": ["u-1"],
        "calendar": [{"from": "2027-06-10", "to": "2027-08-20", "mode": "adds_only"}],
        "allow": [{"gate": "row-count-drop", "until": "2026-12-01", "reason": "two schools moved away"}],
        "approvals": [{"people": 120, "until": "2027-07-01", "reason": "graduating class"}],
        "retention": "30d",
    },
    "notify": {"email": ["a@springfield.example"], "webhook": "https://hooks.example/x"},
}
COMMUNITY: dict[str, Any] = {
    "kind": "community",
    "id": "springfield-high",
    "name": "Springfield High",
    "site_license": {"seats": 1200, "starts": "2026-08-01", "ends": "2027-07-31"},
    "members": {"schools": ["s"], "roles": ["student"]},
    "lessons": "all",
    "lti": {"auto_provisioning": False},
    "join_links": [{"role": "student"}, {"role": "instructor"}],
    "login_timeout": "8h",
}
LESSON = {
    "kind": "lesson",
    "id": "photosynthesis",
    "title": "Photosynthesis",
    "url": "https://lessons.example/photosynthesis",
}
SETTINGS: dict[str, Any] = {
    "format": 1,
    "environments": {
        "production": {
            "store": "postgresql://db.example/r",
            "public_url": "https://read.example",
            "secrets": {"backend": "env"},
        },
        "staging": {"store": "sqlite:///staging.db", "secrets": {"backend": "directory", "path": "/run/secrets"}},
    },
    "operators": [{"name": "O", "email": "o@read.example", "role": "operator"}],
    "policy": {"limits": {"users": {"percent": 20}}},
    "network": {"allow": ["127.0.0.1", "10.20.0.0/16"]},
}


def wrong(kind: str, document: Mapping[str, Any]) -> list[str]:
    return [each.json_path for each in Draft202012Validator(SCHEMAS[f"{kind}.schema.json"]).iter_errors(document)]


@pytest.mark.parametrize("name", sorted(SCHEMAS))
def test_every_schema_is_one_and_explains_its_keys(name: str) -> None:
    schema = SCHEMAS[name]
    Draft202012Validator.check_schema(schema)
    assert schema["$id"] == name
    assert schema["additionalProperties"] is False
    for definition in [schema, *schema.get("$defs", {}).values()]:
        for key, value in definition.get("properties", {}).items():
            assert "description" in value or "$ref" in str(value), f"{name}: {key}"


@pytest.mark.parametrize(
    ("kind", "document"),
    [("customer", CUSTOMER), ("community", COMMUNITY), ("lesson", LESSON), ("reconciler", SETTINGS)],
)
def test_the_documents_of_the_contract_are_valid(kind: str, document: Mapping[str, Any]) -> None:
    assert wrong(kind, document) == []


def test_example_customer_of_the_contract_is_valid(files: Files) -> None:
    files.write("customers/springfield/customer.yaml", json.dumps(CUSTOMER))
    files.community(name="springfield-high")
    assert [each.code for each in files.load().diagnostics if each.is_error] == []


@pytest.mark.parametrize("kind", ["customer", "community", "lesson", "reconciler", "defaults"])
def test_an_unknown_key_is_none(kind: str) -> None:
    assert "$" in wrong(kind, {"nmae": "x"})


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"rostering": {"match_with": "shoe_size"}}, "$.rostering"),
        ({"rostering": {"type": "manual", "match_with": "email"}}, "$.rostering"),
        ({"administrators": [{"role": "admin"}]}, "$.administrators[0]"),
        ({"address": {"country": "USA"}}, "$.address"),
        ({"lti": {"platforms": [{"id": "a"}]}}, "$.lti"),
    ],
)
def test_a_wrong_value_is_wrong(change: Mapping[str, Any], path: str) -> None:
    found = wrong("customer", {**CUSTOMER, **change})
    assert any(each.startswith(path) for each in found), found


@pytest.mark.parametrize(
    "rostering",
    [
        None,
        {"client_partner_id": "org"},
        {"client_partner_id": "org", "suffix": None, "sync": {"host": "x.example"}},
        {"limits": {"users": {"percent": 1}, "window": None}},
    ],
)
def test_customer_may_omit_or_unset_what_it_inherits(rostering: object) -> None:
    document = {key: CUSTOMER[key] for key in ("kind", "id", "name", "administrators")}
    assert wrong("customer", {**document, "rostering": rostering}) == []


def test_defaults_take_shared_keys_but_not_individual_ones() -> None:
    inherited = {key: value for key, value in CUSTOMER.items() if key in ("timezone", "support", "rostering", "lti")}
    community = {"login_timeout": "30m", "site_license": {"seats": 7}}
    assert wrong("defaults", {"kind": "defaults", **inherited, "community": community}) == []
    for key in ("id", "name", "administrators", "address"):
        assert wrong("defaults", {"kind": "defaults", key: CUSTOMER[key]}) == ["$"]


def test_the_example_customers_are_valid() -> None:
    root = Path(__file__).parents[2]
    for path in sorted((root / "customers").rglob("*.yaml")):
        document = YAML(typ="safe", pure=True).load(path)
        assert wrong(document["kind"], _as_json(document)) == [], path


def _as_json(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _as_json(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_as_json(each) for each in value]
    return value.isoformat() if isinstance(value, date) else value
