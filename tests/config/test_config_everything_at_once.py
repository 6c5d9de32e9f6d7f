"""All that is wrong is told at once: no mistake hides another, and none is told that only follows from another."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from reconciler.config.models.customer import Customer
from reconciler.config.models.declaration import DeclarationWithRules, list_rules
from reconciler.config.models.settings import Settings
from reconciler.config.models.sync import ApiSync, SftpSync
from reconciler.model.diagnostic import Diagnostic
from tests.support.customers.files import Files

Path = tuple[str | int, ...]

#: no text of any kind may hold a control character, and no number, day or choice is one
BROKEN = "\x01"
HOST_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMA34UC1CH5tczeJU4dpKc3306gk4e+NYNJEcLPaRJxy"
SFTP = {
    "type": "sftp",
    "host": "sftp.springfield.example",
    "port": "22",
    "username": "roster",
    "password": {"secret": "sftp"},
    "path": "/out/roster.zip",
    "host_key": HOST_KEY,
    "frequency": "auto",
    "period": "daily",
    "at": "02:30",
}
API = {
    "type": "api",
    "url": "https://sis.springfield.example/ims/oneroster/v1p1",
    "authorization": "oauth2",
    "consumer_key": "reader",
    "secret_key": {"secret": "oneroster"},
    "token_url": "https://sis.springfield.example/token",
    "scopes": ["a"],
    "frequency": "manual",
}


def person(name: str, role: str = "admin") -> dict[str, Any]:
    return {"given_name": "A", "family_name": "B", "email": f"{name}@a.example", "username": name, "role": role}


def platform(name: str, **changes: Any) -> dict[str, Any]:
    said = {"id": name, "version": "1.1", "consumer_key": f"k-{name}", "shared_secret": {"secret": name}}
    return {**said, "origins": [f"https://{name}.example"], "community": "high", **changes}


CUSTOMER: dict[str, Any] = {
    "kind": "customer",
    "id": "springfield",
    "name": "Springfield Unified",
    "profile": {"website": "https://springfield.example", "phone": "1"},
    "administrators": [person("ann"), person("bob", "instructor")],
    "address": {"street": ["1 Main Street"], "city": "X", "postal_code": "02134", "country": "US"},
    "agreements": {"privacy_policy": "2026-08-01", "terms_of_service": "2026-08-01"},
    "status": "active",
    "timezone": "America/Chicago",
    "support": {"email": "help@a.example"},
    "lti": {"platforms": [platform("canvas"), platform("moodle", shared_secret={"generated": "true"})]},
    "rostering": {
        "type": "oneroster",
        "version": "1.1",
        "client_partner_id": "org",
        "match_with": "identifier",
        "suffix": "@springfield",
        "merges": [{"keep": "m-1", "merge": "m-2", "reason": "a"}, {"keep": "m-3", "merge": "m-4", "reason": "b"}],
        "sync": SFTP,
        "missing": "delete",
        "limits": {"users": {"percent": "10", "floor": "5"}},
        "protect": ["u-1"],
        "calendar": [{"from": "2027-06-10", "to": "2027-08-20", "mode": "freeze"}],
        "approvals": [{"people": "1", "until": "2027-07-01", "reason": "x"}],
        "retention": "30d",
    },
    "notify": {"email": ["n@a.example"], "webhook": "https://hooks.example/x"},
}
COMMUNITY: dict[str, Any] = {
    "kind": "community",
    "id": "high",
    "name": "High",
    "site_license": {"seats": "100", "starts": "2026-08-01", "ends": "2027-07-31"},
    "members": {"schools": ["s-1"], "roles": ["student"]},
    "lessons": ["cells"],
    "lti": {"auto_provisioning": "false"},
    "join_links": [{"role": "student"}, {"role": "instructor"}],
    "login_timeout": "8h",
}
SETTINGS: dict[str, Any] = {
    "format": "1",
    "environments": {"p": {"store": "postgresql://db.example/r", "public_url": "https://read.example"}},
    "operators": [{"name": "O", "email": "o@p.example", "role": "operator"}],
    "network": {"allow": ["10.20.0.0/16"]},
}

ROSTERING: Path = ("rostering",)
SYNC: Path = ("rostering", "sync")
MERGES: Path = ("rostering", "merges")
#: what says which keys there are at all: what stands below another type means nothing
SAYS_WHAT_THERE_IS: set[Path] = {("kind",), (*ROSTERING, "type"), (*SYNC, "type")}


@dataclass(frozen=True)
class Breach:
    """A rule that is broken. said: what is written instead (`...`: nothing). by: the values that it is about."""

    code: str
    said: dict[Path, Any]
    by: tuple[Path, ...] = ()
    document: str = "customer"

    @property
    def own(self) -> set[Path]:
        return {*self.said, *self.by}


ADMINISTRATORS: Path = ("administrators",)
PLATFORMS: Path = ("lti", "platforms")
API_OF = {SYNC: API}
BREACHES = [
    Breach("no-administrator", {(*ADMINISTRATORS, 0, "role"): "instructor"}, ((*ADMINISTRATORS, 1, "role"),)),
    Breach("duplicate-username", {(*ADMINISTRATORS, 1, "username"): "ANN"}, ((*ADMINISTRATORS, 0, "username"),)),
    Breach("date-in-future", {("agreements", "privacy_policy"): "2030-01-01"}),
    Breach("date-in-future", {("agreements", "terms_of_service"): "2030-01-01"}),
    Breach("date-in-future", {("agreements", "privacy_policy"): "2026-11-23"}, (("timezone",),)),
    Breach("private-host", {("notify", "webhook"): "https://10.1.1.1/x"}),
    Breach("secret-in-url", {("notify", "webhook"): "https://hooks.slack.com/x"}),
    Breach("duplicate-platform", {(*PLATFORMS, 1, "id"): "canvas"}, ((*PLATFORMS, 0, "id"),)),
    Breach("consumer-key-taken", {(*PLATFORMS, 1, "consumer_key"): "k-canvas"}, ((*PLATFORMS, 0, "consumer_key"),)),
    Breach("unknown-community", {(*PLATFORMS, 1, "community"): "low"}),
    Breach("secret-or-generated", {(*PLATFORMS, 0, "shared_secret", "generated"): "true"}),
    Breach("secret-or-generated", {(*PLATFORMS, 0, "shared_secret", "secret"): ...}),
    Breach("dates-reversed", {(*ROSTERING, "calendar", 0, "to"): "2027-01-01"}, ((*ROSTERING, "calendar", 0, "from"),)),
    Breach("merge-with-itself", {(*MERGES, 1, "merge"): "m-3"}, ((*MERGES, 1, "keep"),)),
    Breach("duplicate-merge", {(*MERGES, 1, "merge"): "m-2"}, ((*MERGES, 0, "merge"),)),
    Breach("chained-merge", {(*MERGES, 1, "keep"): "m-2"}, ((*MERGES, 0, "merge"),)),
    Breach("period-missing", {(*SYNC, "period"): ...}, ((*SYNC, "frequency"),)),
    Breach("period-without-auto", {(*SYNC, "frequency"): ..., (*SYNC, "at"): ...}),
    Breach("period-without-auto", {(*SYNC, "frequency"): "manual", (*SYNC, "period"): ...}),
    Breach("password-or-key", {(*SYNC, "password"): ...}),
    Breach("password-or-key", {(*SYNC, "private_key"): {"secret": "k"}}),
    Breach("private-host", {(*SYNC, "host"): "10.1.1.1"}),
    Breach("pick-missing", {(*SYNC, "path"): "/out/roster-*.zip"}),
    Breach("pick-without-pattern", {(*SYNC, "pick"): "newest"}, ((*SYNC, "path"),)),
    Breach("oauth1-only", {**API_OF, (*SYNC, "signature"): "hmac-sha256"}, ((*SYNC, "authorization"),)),
    Breach("token-url-missing", {**API_OF, (*SYNC, "token_url"): ...}, ((*SYNC, "authorization"),)),
    Breach("oauth2-only", {**API_OF, (*SYNC, "authorization"): "oauth1", (*SYNC, "scopes"): ...}),
    Breach("oauth2-only", {**API_OF, (*SYNC, "authorization"): "oauth1", (*SYNC, "token_url"): ...}),
    Breach(
        "oauth2-only",
        {
            **API_OF,
            (*ROSTERING, "version"): "1.2",
            (*SYNC, "authorization"): "oauth1",
            (*SYNC, "token_url"): ...,
            (*SYNC, "scopes"): ...,
        },
    ),
    Breach("plain-http", {**API_OF, (*SYNC, "url"): "http://sis.springfield.example/x"}),
    Breach("private-host", {**API_OF, (*SYNC, "url"): "https://10.1.1.1/x"}),
    Breach("plain-http", {**API_OF, (*SYNC, "token_url"): "http://sis.springfield.example/x"}),
    Breach("secret-in-url", {**API_OF, (*SYNC, "url"): "https://sis.springfield.example/x?api_key=1"}),
    Breach("secret-in-url", {**API_OF, (*SYNC, "token_url"): "https://sis.springfield.example/x?token=1"}),
    Breach("dates-reversed", {("site_license", "ends"): "2026-01-01"}, (("site_license", "starts"),), "community"),
    Breach("duplicate-join-link", {("join_links", 1, "role"): "student"}, (("join_links", 0, "role"),), "community"),
    Breach("unknown-lesson", {("lessons", 0): "atoms"}, (), "community"),
    Breach("password-in-url", {("environments", "p", "store"): "postgresql://u:x@h/r"}, (), "settings"),
]
FILES = {
    "customer": ("customers/springfield/customer.yaml", CUSTOMER),
    "community": ("customers/springfield/communities/high.yaml", COMMUNITY),
    "settings": ("reconciler.yaml", SETTINGS),
}


def changed(document: Any, path: Path, value: object) -> Any:
    """A copy with another value at a path; `...` takes the key away."""
    made = copy.deepcopy(document)
    node = made
    for part in path[:-1]:
        node = node[part]
    if value is ...:
        del node[path[-1]]
    else:
        node[path[-1]] = value
    return made


def leaves(node: Any, path: Path = ()) -> Iterator[Path]:
    items = node.items() if isinstance(node, dict) else enumerate(node)
    for key, value in items:
        if isinstance(value, dict | list):
            yield from leaves(value, (*path, key))
        else:
            yield (*path, key)


def mappings(node: Any, path: Path = ()) -> Iterator[Path]:
    if isinstance(node, dict):
        yield path
    for key, value in node.items() if isinstance(node, dict) else enumerate(node):
        if isinstance(value, dict | list):
            yield from mappings(value, (*path, key))


def put(files: Files, **documents: Any) -> None:
    files.lesson("customers")
    for name, (file, usual) in FILES.items():
        # a value on each line: what stands where is told by the line
        files.write(file, json.dumps(documents.get(name, usual), indent=1))


def told(files: Files, **documents: Any) -> list[Diagnostic]:
    put(files, **documents)
    return [each for each in files.load().diagnostics if each.code != "not-yet-in-force"]


def of(breach: Breach) -> Any:
    document = FILES[breach.document][1]
    for path, value in breach.said.items():
        document = changed(document, path, value)
    return document


def line_of(document: Any, path: Path) -> int:
    mark = "THE-PLACE"
    lines = json.dumps(changed(document, path, mark), indent=1).splitlines()
    return next(number for number, line in enumerate(lines, 1) if mark in line)


def place(diagnostic: Diagnostic) -> tuple[str, int]:
    assert diagnostic.span is not None
    return diagnostic.span.file, diagnostic.span.line


def test_the_documents_of_these_tests_are_valid(files: Files) -> None:
    assert told(files) == []
    assert told(files, customer=changed(CUSTOMER, SYNC, API)) == []


def test_every_rule_of_every_model_is_among_the_breaches() -> None:
    """One breach for each at least; a new rule wants a line in the table."""
    ruled: set[type] = set()
    waiting: list[type] = list(DeclarationWithRules.__subclasses__())
    while waiting:
        model = waiting.pop()
        waiting += model.__subclasses__()
        ruled.add(model)
    rules = {each for model in ruled for each in list_rules(model)}
    assert {Customer, SftpSync, ApiSync} <= ruled
    assert len(rules) == 24


EACH = pytest.mark.parametrize("breach", BREACHES, ids=lambda breach: f"{breach.code} {[*breach.said][-1]}")


@EACH
def test_a_broken_rule_is_told_alone(files: Files, breach: Breach) -> None:
    assert {each.code for each in told(files, **{breach.document: of(breach)})} == {breach.code}


@EACH
def test_no_broken_value_hides_a_broken_rule(files: Files, breach: Breach) -> None:
    """Everything else is broken at once: each value of all three documents that the rule is not about."""
    alone = told(files, **{breach.document: of(breach)})
    documents = {name: of(breach) if name == breach.document else usual for name, (_, usual) in FILES.items()}
    broken = []
    for name, document in documents.items():
        own = breach.own if name == breach.document else set()
        for path in leaves(document):
            if path not in own | SAYS_WHAT_THERE_IS and path[0] != "network":
                documents[name] = changed(documents[name], path, BROKEN)
                broken.append((FILES[name][0], line_of(document, path)))
    found = told(files, **documents)
    assert set(alone) <= set(found)
    assert sorted(place(each) for each in found if each not in alone) == sorted(broken)


@EACH
def test_no_unknown_key_hides_a_broken_rule(files: Files, breach: Breach) -> None:
    document = of(breach)
    alone = [each.code for each in told(files, **{breach.document: document})]
    places = [path for path in mappings(document) if path != ("environments",)]
    for path in places:
        document = changed(document, (*path, "zzzzzzzz"), "x")
    found = [each.code for each in told(files, **{breach.document: document})]
    assert sorted(found) == sorted([*alone, *["unknown-key"] * len(places)])


@pytest.mark.parametrize("sync", [SFTP, API], ids=["sftp", "api"])
def test_a_broken_value_is_one_mistake_and_no_other(files: Files, sync: dict[str, Any]) -> None:
    document = changed(CUSTOMER, SYNC, sync)
    for path in leaves(document):
        found = told(files, customer=changed(document, path, BROKEN))
        assert [place(each) for each in found] == [(FILES["customer"][0], line_of(document, path))], path


@pytest.mark.parametrize("sync", [SFTP, API], ids=["sftp", "api"])
def test_a_misspelt_key_breaks_no_rule(files: Files, sync: dict[str, Any]) -> None:
    document = changed(CUSTOMER, SYNC, sync)
    for path in leaves(document):
        key = path[-1]
        if not isinstance(key, str):
            continue
        value = document
        for part in path:
            value = value[part]
        misspelt = changed(changed(document, path, ...), (*path[:-1], f"{key[0]}{key}"), value)
        codes = {each.code for each in told(files, customer=misspelt)}
        assert codes <= {"unknown-key", "missing-key"}, path


def test_literal_secret_hides_no_missing_community_or_taken_key(files: Files) -> None:
    document = changed(CUSTOMER, (*PLATFORMS, 0, "shared_secret"), "hunter2")
    document = changed(document, (*PLATFORMS, 0, "origins"), ["nowhere"])
    document = changed(document, (*PLATFORMS, 0, "community"), "low")
    document = changed(document, (*PLATFORMS, 1, "consumer_key"), "k-canvas")
    assert sorted(each.code for each in told(files, customer=document)) == [
        "consumer-key-taken",
        "consumer-key-taken",
        "invalid-url",
        "literal-secret",
        "unknown-community",
    ]


def test_invalid_customer_still_takes_its_consumer_key(files: Files) -> None:
    other = changed(changed(CUSTOMER, ("id",), "ogdenville"), ("timezone",), "Mars")
    files.write("customers/ogdenville/customer.yaml", json.dumps(other, indent=1))
    files.write("customers/ogdenville/communities/high.yaml", json.dumps(COMMUNITY, indent=1))
    found = told(files)
    assert sorted(each.code for each in found) == [
        *["consumer-key-taken"] * 4,
        "invalid-timezone",
        *["source-shared"] * 2,
    ]
    assert {each.code for each in files.load().invalid["springfield"] if each.is_error} == {"consumer-key-taken"}


def test_broken_rule_in_defaults_is_reported_beside_other_mistakes(files: Files) -> None:
    rostering = {**CUSTOMER["rostering"], "sync": {key: SFTP[key] for key in SFTP if key != "period"}}
    defaults = {"kind": "defaults", "timezne": "UTC", "status": "closed", "rostering": rostering}
    text = json.dumps(defaults, indent=1)
    files.write("customers/defaults.yaml", text)
    own = {key: value for key, value in CUSTOMER.items() if key not in ("rostering", "status", "timezone")}
    found = told(files, customer=own)
    assert {(each.code, each.span.file) for each in found if each.span} == {
        ("unknown-key", "customers/defaults.yaml"),
        ("invalid-choice", "customers/defaults.yaml"),
        ("period-missing", "customers/defaults.yaml"),
    }


def test_missing_key_is_reported_despite_inherited_mistakes(files: Files) -> None:
    files.write("customers/defaults.yaml", "kind: defaults\nsupport: {fax: 1}\n")
    found = told(files, customer=changed(CUSTOMER, ("agreements",), ...))
    assert sorted(each.code for each in found) == ["missing-key", "unknown-key"]


def test_misspelled_inherited_key_is_not_missing_below(files: Files) -> None:
    files.write("customers/defaults.yaml", "kind: defaults\nagreemnts: {privacy_policy: 2026-08-01}\n")
    found = told(files, customer=changed(CUSTOMER, ("agreements",), ...))
    assert [each.code for each in found] == ["unknown-key"]


def test_key_possibly_in_an_unreadable_file_is_not_missing(files: Files) -> None:
    files.write("customers/defaults.yaml", "kind: defaults\nrostering: [\n")
    document = changed(changed(CUSTOMER, (*SYNC, "period"), ...), ("agreements",), ...)
    found = told(files, customer=changed(document, (*SYNC, "host"), "10.1.1.1"))
    assert sorted(each.code for each in found) == ["private-host", "yaml-syntax"]


def test_network_permissions_apply_despite_other_invalid_settings(files: Files) -> None:
    allowed = changed(CUSTOMER, (*SYNC, "host"), "10.20.1.1")
    refused = changed(CUSTOMER, (*SYNC, "host"), "10.1.1.1")
    wrong = changed(SETTINGS, ("operators", 0, "role"), "boss")
    assert [each.code for each in told(files, customer=allowed, settings=wrong)] == ["invalid-choice"]
    assert sorted(each.code for each in told(files, customer=refused, settings=wrong)) == [
        "invalid-choice",
        "private-host",
    ]
    unknown = changed(SETTINGS, ("network", "allow"), ["10.20.0.0/99"])
    assert [each.code for each in told(files, customer=refused, settings=unknown)] == ["invalid-network"]
    assert Settings().network.allow == ()
