"""Which changes of settings protect people less: each way in which one can, and its opposite, which is none."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from reconciler.config.models.community import Community
from reconciler.config.models.customer import Customer
from reconciler.config.models.settings import Settings
from reconciler.config.validation.documents import build_document
from reconciler.model.diagnostic import Span
from reconciler.model.kind import Kind
from reconciler.model.weakening import Protection
from reconciler.planning.documents.protections import find_settings_weakenings, find_weakenings

HOST_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBsvS6n5OJNCuZ4cmDG2VNK5iQXTnb1aUCGmW3zlIuVY"
SFTP = {
    "type": "sftp",
    "host": "sftp.springfield.example",
    "username": "reader",
    "password": {"secret": "sftp"},
    "path": "/out/roster.zip",
    "host_key": HOST_KEY,
}
ROSTERING: dict[str, Any] = {
    "type": "oneroster",
    "client_partner_id": "d-1",
    "match_with": "identifier",
    "sync": SFTP,
    "missing": "suspend",
    "select": {"schools": ["s-1", "s-2"]},
    "protect": ["u-1", "u-2"],
    "calendar": [{"from": "2027-06-10", "to": "2027-08-20", "mode": "adds_only"}],
    "allow": [{"gate": "row-count-drop", "until": "2026-12-01", "reason": "two schools moved away"}],
    "approvals": [{"people": 120, "until": "2027-07-01", "reason": "graduating class"}],
}
CUSTOMER: dict[str, Any] = {
    "kind": "customer",
    "id": "springfield",
    "name": "Springfield",
    "administrators": [
        {"given_name": "A", "family_name": "B", "email": "a@b.example", "username": "ab", "role": "admin"}
    ],
    "address": {"street": ["1"], "city": "S", "region": "IL", "postal_code": "1", "country": "US"},
    "agreements": {"privacy_policy": "2026-08-01", "terms_of_service": "2026-08-01"},
    "rostering": ROSTERING,
}


def document(**rostering: Any) -> dict[str, Any]:
    """The customer, with these keys of `rostering` in place of its own; None takes one out."""
    given = {**deepcopy(ROSTERING), **rostering}
    chosen = {key: value for key, value in given.items() if value is not None}
    return build_document(Customer.model_validate({**CUSTOMER, "rostering": chosen}))


def found(before: dict[str, Any], after: dict[str, Any]) -> list[tuple[Protection, str]]:
    return [(each.protection, each.path) for each in find_weakenings(Kind.CUSTOMER, "springfield", before, after, {})]


def limits(**parts: Any) -> dict[str, Any]:
    return {"limits": parts}


WEAKER: list[tuple[str, dict[str, Any], dict[str, Any], Protection, str]] = [
    ("percent", {}, limits(users={"percent": 11}), Protection.LIMIT, "limits.users.percent"),
    ("school", {}, limits(users={"per_school_percent": 26}), Protection.LIMIT, "limits.users.per_school_percent"),
    ("floor", {}, limits(enrollments={"floor": 21}), Protection.LIMIT, "limits.enrollments.floor"),
    ("count", {}, limits(role_escalations={"count": 1}), Protection.LIMIT, "limits.role_escalations.count"),
    ("window", {}, limits(window="6d"), Protection.LIMIT, "limits.window"),
    ("hours", limits(window="2d"), limits(window="36h"), Protection.LIMIT, "limits.window"),
    ("gate", {"allow": None}, {}, Protection.GATE, "allow"),
    (
        "gate for longer",
        {},
        {"allow": [{"gate": "row-count-drop", "until": "2026-12-02", "reason": "x"}]},
        Protection.GATE,
        "allow",
    ),
    (
        "another gate",
        {},
        {"allow": [*ROSTERING["allow"], {"gate": "stale-source", "until": "2026-12-01", "reason": "x"}]},
        Protection.GATE,
        "allow",
    ),
    ("approval", {"approvals": None}, {}, Protection.APPROVAL, "approvals"),
    (
        "more people",
        {},
        {"approvals": [{"people": 121, "until": "2027-07-01", "reason": "graduating class"}]},
        Protection.APPROVAL,
        "approvals",
    ),
    ("protect", {}, {"protect": ["u-1", "u-3"]}, Protection.PROTECT, "protect"),
    ("missing", {}, {"missing": "delete"}, Protection.MISSING, "missing"),
    ("missing is deleted by default", {"missing": "keep"}, {"missing": None}, Protection.MISSING, "missing"),
    ("selection", {}, {"select": {"schools": ["s-1"]}}, Protection.SELECT, "select.schools"),
    ("a first selection", {"select": None}, {}, Protection.SELECT, "select.schools"),
    ("match", {}, {"match_with": "email"}, Protection.MATCH_WITH, "match_with"),
    ("org", {}, {"client_partner_id": "d-2"}, Protection.MATCH_WITH, "client_partner_id"),
    ("no calendar", {}, {"calendar": None}, Protection.CALENDAR, "calendar"),
    (
        "shorter season",
        {},
        {"calendar": [{"from": "2027-06-10", "to": "2027-08-19", "mode": "adds_only"}]},
        Protection.CALENDAR,
        "calendar",
    ),
    (
        "a season less strict",
        {"calendar": [{"from": "2027-06-10", "to": "2027-08-20", "mode": "freeze"}]},
        {},
        Protection.CALENDAR,
        "calendar",
    ),
    ("retention", {}, {"retention": "29d"}, Protection.RETENTION, "retention"),
    ("host", {}, {"sync": {**SFTP, "host": "evil.example"}}, Protection.CREDENTIALS, "sync.host"),
    (
        "another secret",
        {},
        {"sync": {**SFTP, "password": {"secret": "canvas"}}},
        Protection.CREDENTIALS,
        "sync.password",
    ),
    ("port", {}, {"sync": {**SFTP, "port": 23}}, Protection.CREDENTIALS, "sync.port"),
    (
        "host key",
        {},
        {"sync": {**SFTP, "host_key": HOST_KEY.replace("Bsv", "Csv")}},
        Protection.CREDENTIALS,
        "sync.host_key",
    ),
]


@pytest.mark.parametrize(
    ("before", "after", "protection", "path"), [each[1:] for each in WEAKER], ids=[e[0] for e in WEAKER]
)
def test_weaker_protection_is_reported_and_stronger_is_not(
    before: dict[str, Any], after: dict[str, Any], protection: Protection, path: str
) -> None:
    earlier, later = document(**before), document(**after)
    assert found(earlier, later) == [(protection, f"rostering.{path}")]
    symmetric = {Protection.MATCH_WITH, Protection.CREDENTIALS}
    if protection not in symmetric and path != "protect":
        assert found(later, earlier) == []


def test_agreements_backdated_or_withdrawn_are_reported() -> None:
    before = document()
    earlier = {**before, "agreements": {**before["agreements"], "privacy_policy": "2026-07-31"}}
    later = {**before, "agreements": {**before["agreements"], "privacy_policy": "2026-08-02"}}
    none = {**before, "agreements": {}}
    assert found(before, earlier) == [(Protection.AGREEMENTS, "agreements.privacy_policy")]
    assert found(before, later) == []
    assert [path for _, path in found(before, none)] == ["agreements.privacy_policy", "agreements.terms_of_service"]


def test_unchanged_added_or_removed_rosters_are_not_reported() -> None:
    manual = {**document(), "rostering": {"type": "manual"}}
    assert found(document(), document()) == []
    zipped = document(sync={"type": "zip"})
    assert found(manual, zipped) == []
    assert found(document(), manual) == found(document(), zipped) == []


def test_first_server_could_receive_any_secret_of_the_customer() -> None:
    api = {
        "type": "api",
        "url": "https://evil.example/ims/oneroster/v1p1",
        "authorization": "oauth1",
        "consumer_key": "k",
        "secret_key": {"secret": "canvas"},
    }
    manual = {**document(), "rostering": {"type": "manual"}}
    for before in (manual, document(sync={"type": "zip"})):
        assert found(before, document()) == [
            (Protection.CREDENTIALS, "rostering.sync.host"),
            (Protection.CREDENTIALS, "rostering.sync.password"),
        ]
        assert found(before, document(sync=api)) == [
            (Protection.CREDENTIALS, "rostering.sync.secret_key"),
            (Protection.CREDENTIALS, "rostering.sync.url"),
        ]


def test_weightiest_comes_first_with_the_nearest_values_line() -> None:
    before, after = document(), document(match_with="email", limits={"users": {"percent": 60}})
    origins = {
        "rostering": Span("customer.yaml", 10, 1),
        "rostering.limits.users": Span("defaults.yaml", 3, 5),
        "rostering.match_with": Span("customer.yaml", 14, 3),
    }
    told = find_weakenings(Kind.CUSTOMER, "springfield", before, after, origins)
    assert [(each.path, each.before, each.after, each.origin) for each in told] == [
        ("rostering.limits.users.percent", 10, 60, Span("defaults.yaml", 3, 5)),
        ("rostering.match_with", "identifier", "email", Span("customer.yaml", 14, 3)),
    ]


def test_community_creating_accounts_for_anyone_is_reported() -> None:
    def community(**more: Any) -> dict[str, Any]:
        license = {"seats": 1, "starts": "2026-08-01", "ends": "2027-07-31"}
        given = {"kind": "community", "id": "north", "name": "North", "site_license": license, **more}
        return build_document(Community.model_validate(given))

    closed, opened = community(), community(lti={"auto_provisioning": True})
    told = find_weakenings(Kind.COMMUNITY, "north", closed, opened, {})
    assert [(each.protection, each.path) for each in told] == [(Protection.AUTO_PROVISIONING, "lti.auto_provisioning")]
    assert find_weakenings(Kind.COMMUNITY, "north", opened, closed, {}) == ()


def community(**more: Any) -> dict[str, Any]:
    license = {"seats": 1, "starts": "2026-08-01", "ends": "2027-07-31", **more.pop("license", {})}
    given = {"kind": "community", "id": "north", "name": "North", "site_license": license, **more}
    return build_document(Community.model_validate(given))


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ({}, {"license": {"ends": "2026-12-31"}}, (Protection.LOCKOUT, "site_license.ends")),
        ({}, {"license": {"starts": "2026-09-01"}}, (Protection.LOCKOUT, "site_license.starts")),
        ({}, {"members": {"roles": ["teacher"]}}, (Protection.LOCKOUT, "members.roles")),
        (
            {"members": {"schools": ["a", "b"]}},
            {"members": {"schools": ["b", "c"]}},
            (Protection.LOCKOUT, "members.schools"),
        ),
        ({}, {"join_links": [{"role": "student"}]}, (Protection.JOIN_LINKS, "join_links")),
    ],
)
def test_a_community_that_takes_or_gives_access_is_reported(
    before: dict[str, Any], after: dict[str, Any], expected: tuple[Protection, str]
) -> None:
    earlier, later = community(**before), community(**after)
    told = find_weakenings(Kind.COMMUNITY, "north", earlier, later, {})
    assert [(each.protection, each.path) for each in told] == [expected]
    if before != {"members": {"schools": ["a", "b"]}}:
        assert find_weakenings(Kind.COMMUNITY, "north", later, earlier, {}) == ()


def lms(**changes: Any) -> dict[str, Any]:
    platform = {"id": "canvas", "consumer_key": "k", "shared_secret": {"secret": "s"}, "community": "north", **changes}
    return build_document(Customer.model_validate({**CUSTOMER, "lti": {"platforms": [platform]}}))


BOSS = {"given_name": "C", "family_name": "D", "email": "c@d.example", "username": "cd", "role": "instructor"}


def staffed(*people: dict[str, Any]) -> dict[str, Any]:
    return build_document(
        Customer.model_validate({**CUSTOMER, "administrators": [*CUSTOMER["administrators"], *people]})
    )


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (document(), {**document(), "status": "deactivated"}, (Protection.LOCKOUT, "status")),
        (staffed(), staffed(BOSS), (Protection.ADMINISTRATORS, "administrators.cd")),
        (
            staffed(BOSS),
            staffed({**BOSS, "email": "x@y.example"}),
            (Protection.ADMINISTRATORS, "administrators.cd.email"),
        ),
        (staffed(BOSS), staffed({**BOSS, "role": "admin"}), (Protection.ADMINISTRATORS, "administrators.cd.role")),
        (document(), lms(), (Protection.LAUNCHES, "lti.platforms.canvas.consumer_key")),
        (lms(), lms(consumer_key="other"), (Protection.LAUNCHES, "lti.platforms.canvas.consumer_key")),
        (lms(), lms(shared_secret={"secret": "t"}), (Protection.LAUNCHES, "lti.platforms.canvas.shared_secret")),
        (lms(), lms(previous_secret={"secret": "t"}), (Protection.LAUNCHES, "lti.platforms.canvas.previous_secret")),
        (lms(), lms(origins=["https://evil.example"]), (Protection.LAUNCHES, "lti.platforms.canvas.origins")),
        (
            document(),
            document(merges=[{"keep": "u-8", "merge": "u-9", "reason": "one person"}]),
            (Protection.MERGES, "rostering.merges"),
        ),
    ],
)
def test_a_customer_that_takes_or_gives_access_is_reported(
    before: dict[str, Any], after: dict[str, Any], expected: tuple[Protection, str]
) -> None:
    assert [each for each in found(before, after) if each[1].partition(".")[0] != "rostering" or each == expected] == [
        expected
    ]


def test_a_first_contact_is_no_change_and_another_one_is() -> None:
    ann, eve = {"email": "help@a.example"}, {"email": "help@eve.example"}
    assert found(document(), {**document(), "support": ann}) == []
    assert found({**document(), "support": ann}, {**document(), "support": eve}) == [(Protection.CONTACT, "support")]


def test_another_address_of_a_lesson_is_reported() -> None:
    before, after = ({"url": f"https://{host}.example"} for host in ("a", "b"))
    (told,) = find_weakenings(Kind.LESSON, "leaves", before, after, {})
    assert (told.protection, told.path) == (Protection.LESSON_URL, "url")


def test_another_public_address_is_reported() -> None:
    before, after = (
        settings(environments={"production": {"store": "sqlite:///s.db", "public_url": f"https://{host}.example"}})
        for host in ("a", "b")
    )
    (told,) = find_settings_weakenings(before, after, {})
    assert (told.protection, told.path) == (Protection.CONTACT, "environments.production.public_url")


def settings(**parts: Any) -> dict[str, Any]:
    return Settings.model_validate(parts).model_dump(mode="json", exclude_none=True)


def test_ceilings_networks_and_stores_of_the_repository_are_compared() -> None:
    strict = settings(policy={"limits": {"users": {"percent": 20}, "window": "7d"}}, network={"allow": ["10.0.0.1"]})
    higher = settings(policy={"limits": {"users": {"percent": 21}, "window": "6d"}}, network={"allow": ["10.0.0.1"]})
    wider = settings(network={"allow": ["10.0.0.1", "10.0.0.2"]})
    assert [each.path for each in find_settings_weakenings(strict, higher, {})] == [
        "policy.limits.users.percent",
        "policy.limits.window",
    ]
    assert [(each.protection, each.after) for each in find_settings_weakenings(strict, wider, {})] == [
        (Protection.LIMIT, None),
        (Protection.LIMIT, None),
        (Protection.NETWORK, ["10.0.0.1", "10.0.0.2"]),
    ]
    assert find_settings_weakenings(higher, strict, {}) == find_settings_weakenings(strict, strict, {}) == ()


def test_another_store_is_told_without_its_address() -> None:
    before = settings(environments={"production": {"store": "postgresql://a:hunter2@db/one"}})
    after = settings(environments={"production": {"store": "postgresql://a:hunter3@db/one"}})
    (told,) = find_settings_weakenings(before, after, {})
    assert (told.protection, told.path) == (Protection.CREDENTIALS, "environments.production.store")
    assert "hunter" not in repr(told)


def test_other_mail_server_is_reported_because_it_receives_passwords() -> None:
    def mailed(host: str) -> dict[str, Any]:
        mail = {"backend": "smtp", "host": host, "port": 587, "sender": "a@b.example", "username": "u"}
        return settings(environments={"production": {"store": "sqlite:///s.db", "mail": mail}})

    (told,) = find_settings_weakenings(mailed("mail.example"), mailed("evil.example"), {})
    assert (told.protection, told.path) == (Protection.CREDENTIALS, "environments.production.mail")


def test_every_protection_has_a_case_here() -> None:
    elsewhere = {Protection.AGREEMENTS, Protection.AUTO_PROVISIONING, Protection.NETWORK, Protection.LOCKOUT}
    elsewhere |= {each for each in Protection if each.is_access}
    assert {each[3] for each in WEAKER} | elsewhere == set(Protection)
