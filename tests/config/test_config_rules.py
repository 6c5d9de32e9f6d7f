"""The rules between keys, each shown by the one thing that is wrong: its code, its place, no false alarm."""

from __future__ import annotations

import base64
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.support.customers.files import Files

ONEROSTER = "rostering:\n  type: oneroster\n  client_partner_id: org\n  match_with: identifier\n"
HOST_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMA34UC1CH5tczeJU4dpKc3306gk4e+NYNJEcLPaRJxy"
SFTP = {
    "host": "sftp.springfield.example",
    "username": "roster",
    "password": "{secret: sftp}",
    "path": "/out/roster.zip",
    "host_key": f'"{HOST_KEY}"',
}
API = {
    "url": '"https://sis.springfield.example/ims/oneroster/v1p1"',
    "authorization": "oauth1",
    "consumer_key": "reader",
    "secret_key": "{secret: oneroster}",
}


def rostering(kind: str, keys: dict[str, str], *, without: str = "", **others: str) -> str:
    """The rostering of a customer whose sync has these keys, and line 11 on are the sync's."""
    lines = {key: value for key, value in {"type": kind, **keys, **others}.items() if key != without}
    return ONEROSTER + "  sync:\n" + "".join(f"    {key}: {value}\n" for key, value in lines.items())


def of(files: Files, more: str) -> list[str]:
    files.customer(more)
    return files.codes()


@pytest.mark.parametrize("sync", [rostering("zip", {}), rostering("sftp", SFTP), rostering("api", API)])
def test_each_sync_method_is_valid_with_its_keys(files: Files, sync: str) -> None:
    assert of(files, sync) == []


@pytest.mark.parametrize("key", ["host", "username", "path", "host_key"])
def test_sftp_needs_each_of_its_keys(files: Files, key: str) -> None:
    files.customer(rostering("sftp", SFTP, without=key))
    (found,) = files.load().diagnostics
    assert (found.code, found.message) == ("missing-key", f"{key} is missing; sync type sftp requires it")


@pytest.mark.parametrize("key", ["url", "authorization", "consumer_key", "secret_key"])
def test_the_api_needs_each_of_its_keys(files: Files, key: str) -> None:
    files.customer(rostering("api", API, without=key))
    (found,) = files.load().diagnostics
    assert (found.code, found.message) == ("missing-key", f"{key} is missing; sync type api requires it")


@pytest.mark.parametrize(
    ("kind", "keys", "foreign"),
    [
        ("sftp", SFTP, {"url": '"https://x.example"'}),
        ("sftp", SFTP, {"consumer_key": "x"}),
        ("sftp", SFTP, {"secret_key": "{secret: x}"}),
        ("api", API, {"host": "x.example"}),
        ("api", API, {"host_key": "x"}),
        ("zip", {}, {"host": "x.example"}),
        ("zip", {}, {"url": '"https://x.example"'}),
        ("zip", {}, {"period": "daily"}),
        ("zip", {}, {"at": '"02:30"'}),
    ],
)
def test_key_of_another_sync_method_is_named_as_such(
    files: Files, kind: str, keys: dict[str, str], foreign: dict[str, str]
) -> None:
    assert of(files, rostering(kind, keys, **foreign)) == ["key-of-another-type"]


def test_sftp_takes_exactly_one_password_or_key(files: Files) -> None:
    assert of(files, rostering("sftp", SFTP, without="password")) == ["password-or-key"]
    assert of(files, rostering("sftp", SFTP, private_key="{secret: k}")) == ["password-or-key"]
    assert of(files, rostering("sftp", SFTP, without="password", private_key="{secret: k}")) == []


def test_zip_is_always_manual(files: Files) -> None:
    assert of(files, rostering("zip", {}, frequency="manual")) == []
    files.customer(rostering("zip", {}, frequency="auto"))
    assert files.said() == (
        "customers/springfield/customer.yaml:13:16: error: sync type zip is always manual; "
        "frequency: auto requires sftp or api [zip-is-manual]"
    )


@pytest.mark.parametrize(("kind", "keys"), [("sftp", SFTP), ("api", API)])
@pytest.mark.parametrize(
    ("timeout", "expected"),
    [
        ("1m", []),
        ("1440m", []),
        ("24h", []),
        ("1d", []),
        ("1441m", ["invalid-duration"]),
        ("25h", ["invalid-duration"]),
        ("2d", ["invalid-duration"]),
        ("999999d", ["invalid-duration"]),
    ],
)
def test_a_fetch_takes_a_day_at_most(
    files: Files, kind: str, keys: dict[str, str], timeout: str, expected: list[str]
) -> None:
    assert of(files, rostering(kind, keys, timeout=timeout)) == expected


@pytest.mark.parametrize("period", ["hourly", "every_6_hours", "every_12_hours", "daily", "weekly", "monthly"])
def test_auto_takes_each_of_six_periods(files: Files, period: str) -> None:
    assert of(files, rostering("sftp", SFTP, frequency="auto", period=period)) == []


def test_auto_needs_a_period_and_manual_takes_none(files: Files) -> None:
    assert of(files, rostering("api", API, frequency="auto")) == ["period-missing"]
    assert of(files, rostering("api", API, frequency="auto", period="yearly")) == ["invalid-choice"]
    assert of(files, rostering("api", API, period="daily")) == ["period-without-auto"]
    assert of(files, rostering("api", API, at='"02:30"')) == ["period-without-auto"]
    assert of(files, rostering("api", API, frequency="auto", period="daily", at="02:30")) == []
    assert of(files, rostering("api", API, frequency="auto", period="daily", at="2:30")) == ["invalid-time"]


def test_oneroster_1_2_is_oauth2_only(files: Files) -> None:
    oauth2 = {**API, "authorization": "oauth2", "token_url": '"https://sis.springfield.example/token"'}
    assert of(files, rostering("api", API) + '  version: "1.2"\n') == ["oauth2-only"]
    assert of(files, rostering("api", oauth2) + '  version: "1.2"\n') == []
    assert of(files, rostering("zip", {}) + '  version: "1.2"\n') == []


def test_oauth2_needs_a_token_url_and_oauth1_takes_none(files: Files) -> None:
    token = '"https://sis.springfield.example/token"'
    assert of(files, rostering("api", API, authorization="oauth2")) == ["token-url-missing"]
    assert of(files, rostering("api", API, token_url=token)) == ["oauth2-only"]
    assert of(files, rostering("api", API, scopes="[a]")) == ["oauth2-only"]
    assert of(files, rostering("api", API, authorization="oauth2", token_url=token, scopes="[a]")) == []


@pytest.mark.parametrize(
    "name", ["key", "api_key", "apiKey", "x-api-key", "access_token", "client_secret", "PWD", "sig"]
)
def test_an_address_holds_no_secret(files: Files, name: str) -> None:
    assert of(files, rostering("api", {**API, "url": f'"https://sis.springfield.example/x?{name}=abc"'})) == [
        "secret-in-url"
    ]


@pytest.mark.parametrize("name", ["tenant", "district", "keyword", "design", "monkey"])
def test_an_address_may_have_other_parameters(files: Files, name: str) -> None:
    assert of(files, rostering("api", {**API, "url": f'"https://sis.springfield.example/x?{name}=abc"'})) == []


def test_plain_http_and_private_hosts_need_network_permission(files: Files) -> None:
    plain = rostering("api", {**API, "url": '"http://sis.springfield.example/x"'})
    private = rostering("api", {**API, "url": '"https://10.20.3.4/x"'})
    sftp = rostering("sftp", {**SFTP, "host": "10.20.3.4"})
    assert of(files, plain) == ["plain-http"]
    assert of(files, private) == ["private-host"]
    assert of(files, sftp) == ["private-host"]
    files.write("reconciler.yaml", 'network: {allow: ["10.20.0.0/16", sis.springfield.example]}\n')
    assert [of(files, each) for each in (plain, private, sftp)] == [[], [], []]


@pytest.mark.parametrize(
    "url", ["sis.example/x", "ftp://x.example", "https://", "https://x.example:99999/", "https:///x"]
)
def test_a_url_is_whole(files: Files, url: str) -> None:
    assert of(files, rostering("api", {**API, "url": f'"{url}"'})) == ["invalid-url"]


@pytest.mark.parametrize("port", ["0", "65536", "-1", "ssh", "1.5"])
def test_a_port_is_between_1_and_65535(files: Files, port: str) -> None:
    assert of(files, rostering("sftp", SFTP, port=port))[0] in ("out-of-range", "wrong-type")


@pytest.mark.parametrize(
    "key",
    ["sftp.example ssh-ed25519 AAAA", "AAAAC3NzaC1lZDI1NTE5", "ssh-ed25519 AAAAB3NzaC1yc2EAAAADAQABAAAB", "SHA256:abc"],
)
def test_host_key_is_a_type_and_matching_base64(files: Files, key: str) -> None:
    assert of(files, rostering("sftp", {**SFTP, "host_key": f'"{key}"'})) == ["invalid-host-key"]


PrivateKey = Ed25519PrivateKey | RSAPrivateKey | EllipticCurvePrivateKey


def public_key(key: PrivateKey) -> str:
    return key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()


KEYS: dict[str, Callable[[], PrivateKey]] = {
    "ed25519": Ed25519PrivateKey.generate,
    "rsa": lambda: generate_private_key(65537, 1024),
    "nistp256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "nistp384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "nistp521": lambda: ec.generate_private_key(ec.SECP521R1()),
}


@pytest.mark.parametrize("bits", [2048, 3072, 4096])
def test_rsa_host_key_of_any_size_is_valid(files: Files, bits: int) -> None:
    key = public_key(generate_private_key(65537, bits))
    for written in (key, f"{key} root@sftp.springfield.example"):
        assert of(files, rostering("sftp", {**SFTP, "host_key": f'"{written}"'})) == []


@pytest.mark.parametrize("kind", KEYS)
def test_host_key_that_is_cut_off_is_refused_at_its_place(files: Files, kind: str) -> None:
    key = public_key(KEYS[kind]())
    assert of(files, rostering("sftp", {**SFTP, "host_key": f'"{key}"'})) == []
    for length in (1, 2, 3, 4, 8, 20):
        files.customer(rostering("sftp", {**SFTP, "host_key": f'"{key[:-length].rstrip("=")}"'}))
        (found,) = files.load().diagnostics
        assert (found.code, found.span.line) == ("invalid-host-key", 17)
        assert "is cut off or damaged" in found.message
        assert key[20:40] not in found.message


def test_host_key_with_more_than_a_key_is_refused(files: Files) -> None:
    kind, text = HOST_KEY.split()
    longer = base64.b64encode(base64.b64decode(text) + b"\0\0\0\1x").decode()
    assert of(files, rostering("sftp", {**SFTP, "host_key": f'"{kind} {longer}"'})) == ["invalid-host-key"]


@pytest.mark.parametrize("key", ["client_partner_id", "match_with"])
def test_oneroster_needs_partner_id_and_match_with(files: Files, key: str) -> None:
    text = "".join(line for line in rostering("zip", {}).splitlines(keepends=True) if key not in line)
    files.customer(text)
    (found,) = files.load().diagnostics
    assert found.message == f"{key} is missing; rostering type oneroster requires it"


def test_oneroster_needs_a_way_of_syncing(files: Files) -> None:
    assert of(files, ONEROSTER) == ["missing-key"]


def test_manual_rostering_takes_no_keys_of_oneroster(files: Files) -> None:
    assert of(files, "rostering: {type: manual}\n") == []
    found = of(files, "rostering: {type: manual, match_with: email, suffix: x, sync: {type: zip}}\n")
    assert found == ["key-of-another-type"] * 3


@pytest.mark.parametrize("kind", ["API", "ftp", "auto", ""])
def test_another_way_of_syncing_is_none(files: Files, kind: str) -> None:
    assert of(files, rostering(kind, {})) == ["invalid-choice" if kind else "missing-key"]


def test_both_agreements_are_needed(files: Files) -> None:
    files.customer(without=["agreements"])
    assert files.codes() == ["missing-key"]
    files.customer("agreements: {privacy_policy: 2026-08-01}\n", without=["agreements"])
    assert files.codes() == ["missing-key"]


def test_agreement_of_today_is_accepted_but_not_tomorrow(files: Files) -> None:
    files.customer("agreements: {privacy_policy: 2026-11-22, terms_of_service: 2026-11-22}\n", without=["agreements"])
    assert files.codes() == []
    files.customer("agreements: {privacy_policy: 2026-11-22, terms_of_service: 2026-11-23}\n", without=["agreements"])
    assert files.codes() == ["date-in-future"]
    assert "customer.yaml:6:60:" in files.said()


@pytest.mark.parametrize("day", ["2026-02-30", "01.08.2026", "2026-8-1", "1690000000", "true", "2026-08-01T00:00:00Z"])
def test_a_day_is_a_day_of_the_calendar(files: Files, day: str) -> None:
    files.customer(f'agreements: {{privacy_policy: "{day}", terms_of_service: 2026-08-01}}\n', without=["agreements"])
    assert files.codes() == ["invalid-date"]


def person(**changes: str) -> str:
    keys = {"given_name": "C", "family_name": "D", "email": "c@d.example", "username": "c", "role": "admin", **changes}
    return "  - {" + ", ".join(f"{key}: {value}" for key, value in keys.items()) + "}\n"


@pytest.mark.parametrize(
    ("people", "expected"),
    [
        (person(), []),
        (person(role="instructor"), ["no-administrator"]),
        (person() + person(), ["duplicate-username"]),
        (person() + person(username="C"), ["duplicate-username"]),
        (person(role="boss"), ["invalid-choice"]),
        (person(email="nobody"), ["invalid-email"]),
        (person(email="a@b"), ["invalid-email"]),
        (person(email='"a b@c.example"'), ["invalid-email"]),
        (person(given_name='""'), ["invalid-text"]),
        (person(given_name='"a\\u001bb"'), ["invalid-text"]),
        (person(given_name='" a"'), ["invalid-text"]),
    ],
)
def test_administrators_are_people_that_can_be_told_apart(files: Files, people: str, expected: list[str]) -> None:
    files.customer("administrators:\n" + people, without=["administrators", "  - {"])
    assert files.codes() == expected


def test_somebody_has_to_look_after_a_customer(files: Files) -> None:
    files.customer("administrators: []\n", without=["administrators", "  - {"])
    assert files.codes() == ["no-administrator"]
    files.customer(without=["administrators", "  - {"])
    assert files.codes() == ["missing-key"]


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ("timezone: America/Chicago\n", []),
        ("timezone: America\n", ["invalid-timezone"]),
        ("timezone: ../../etc/passwd\n", ["invalid-timezone"]),
        ("timezone: Mars/Olympus\n", ["invalid-timezone"]),
        ("address: {country: US, postal_code: 02134}\n", []),
        ("address: {country: NO}\n", []),
        ("address: {country: USA}\n", ["invalid-country"]),
        ("address: {country: us}\n", ["invalid-country"]),
        ("address: {city: X}\n", ["missing-key"]),
        ("status: closed\n", ["invalid-choice"]),
        ("profile: {website: springfield.example}\n", ["invalid-url"]),
        ("previously: [Old]\n", ["invalid-id"]),
    ],
)
def test_what_describes_a_customer_has_a_form(files: Files, more: str, expected: list[str]) -> None:
    files.customer(more)
    assert sorted(files.codes()) == expected


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ("  limits: {users: {percent: 0, per_school_percent: 100, floor: 0}}\n", []),
        ("  limits: {users: {percent: 101}}\n", ["out-of-range"]),
        ("  limits: {users: {percent: 10 %}}\n", ["wrong-type"]),
        ("  limits: {classes: {floor: -1}}\n", ["out-of-range"]),
        ("  limits: {classes: {per_school_percent: 1}}\n", ["unknown-key"]),
        ("  retention: 30d\n", []),
        ("  retention: 30\n", ["invalid-duration"]),
        ("  retention: 0d\n", ["invalid-duration"]),
        ("  retention: 3650d\n", []),
        ("  retention: 5256000m\n", []),
        ("  retention: 3651d\n", ["invalid-duration"]),
        ("  retention: 23h\n", ["invalid-duration"]),
        ("  retention: 600000d\n", ["invalid-duration"]),
        ("  limits: {window: 366d}\n", []),
        ("  limits: {window: 600000d}\n", ["invalid-duration"]),
        ("  limits: {window: 1m}\n", ["invalid-duration"]),
        ("  missing: archive\n", ["invalid-choice"]),
        ("  protect: [u-1, u-2]\n", []),
        ("  protect: u-1\n", ["wrong-type"]),
        ("  calendar: [{from: 2027-06-10, to: 2027-06-01, mode: freeze}]\n", ["dates-reversed"]),
        ("  calendar: [{from: 2027-06-10, to: 2027-06-10, mode: thaw}]\n", ["invalid-choice"]),
        ("  calendar: [{from: 0001-01-01, to: 2027-06-10, mode: freeze}]\n", ["invalid-date"]),
        ("  calendar: [{from: 2027-06-10, to: 9999-12-31, mode: freeze}]\n", ["invalid-date"]),
        ("  approvals: [{people: 120, until: 2027-07-01}]\n", ["missing-key"]),
        ("  allow: [{gate: row-count-drop, until: soon, reason: x}]\n", ["invalid-date"]),
    ],
)
def test_what_a_roster_may_do_has_a_form(files: Files, more: str, expected: list[str]) -> None:
    files.customer(rostering("zip", {}) + more)
    assert sorted(files.codes()) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("site_license: {seats: 0, starts: 2026-08-01, ends: 2027-07-31}\n", ["out-of-range"]),
        ("site_license: {seats: 1, starts: 2026-08-01, ends: 2026-08-01}\n", []),
        ("site_license: {seats: 1, starts: 2026-08-02, ends: 2026-08-01}\n", ["dates-reversed"]),
    ],
)
def test_a_site_license_has_seats_and_an_end(files: Files, text: str, expected: list[str]) -> None:
    files.customer()
    files.write("customers/springfield/communities/high.yaml", "kind: community\nid: high\nname: High\n" + text)
    assert files.codes() == expected


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ("login_timeout: 30m\n", []),
        ("login_timeout: 8\n", ["invalid-duration"]),
        ("login_timeout: 31d\n", ["invalid-duration"]),
        ("lti: {auto_provisioning: true}\n", []),
        ("lti: {auto_provisioning: yes}\n", ["wrong-type"]),
        ("join_links: [{role: student}, {role: instructor}]\n", []),
        ("join_links: [{role: student}, {role: student}]\n", ["duplicate-join-link"]),
        ("join_links: [{role: admin}]\n", ["invalid-choice"]),
        ("lessons: all\n", []),
        ("lessons: []\n", []),
        ("lessons: none\n", ["wrong-type"]),
        ("lessons: [Not-An-Id]\n", ["invalid-id"]),
        ("members: {roles: [student, teacher], schools: [s-1]}\n", []),
        ("members: {roles: [wizard]}\n", ["invalid-choice"]),
    ],
)
def test_a_community_has_a_form(files: Files, more: str, expected: list[str]) -> None:
    files.customer()
    files.community(more)
    assert files.codes() == expected


def lti(**changes: str) -> str:
    keys = {"id": "canvas", "consumer_key": "k", "shared_secret": "{secret: canvas}", "community": "high", **changes}
    return "    - {" + ", ".join(f"{key}: {value}" for key, value in keys.items()) + "}\n"


@pytest.mark.parametrize(
    ("platforms", "expected"),
    [
        (lti(), []),
        (lti(shared_secret="{generated: true}"), []),
        (lti(shared_secret="{generated: false}"), ["wrong-type"]),
        (lti(shared_secret="{generated: true, secret: x}"), ["secret-or-generated"]),
        (lti(shared_secret="{}"), ["secret-or-generated"]),
        (lti(shared_secret="{secret: Not_A_Name}"), ["invalid-id"]),
        (lti(version='"1.3"'), ["invalid-choice"]),
        (lti(origins='["https://x.example:8443"]'), []),
        (lti(origins='["https://x.example/"]'), ["invalid-origin"]),
        (lti(origins='["x.example"]'), ["invalid-url"]),
        (lti(community="low"), ["unknown-community"]),
        (lti() + lti(consumer_key="other"), ["duplicate-platform"]),
        (lti() + lti(id="moodle"), ["consumer-key-taken", "consumer-key-taken"]),
        (lti() + lti(id="moodle", consumer_key="other"), []),
    ],
)
def test_lms_platforms_have_a_form(files: Files, platforms: str, expected: list[str]) -> None:
    files.community()
    files.customer("lti:\n  platforms:\n" + platforms)
    assert files.codes() == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("format: 1\n", []),
        ("format: 2\n", ["unknown-format"]),
        ("environments: {}\n", ["no-environment"]),
        ("environments: {p: {store: postgresql://db.example/r}}\n", ["yaml-syntax"]),
        ('environments: {p: {store: "postgresql://db.example/r"}}\n', []),
        ('environments: {p: {store: "mysql://db.example/r"}}\n', ["invalid-store"]),
        ('environments: {Prod: {store: "sqlite:///s.db"}}\n', ["invalid-id"]),
        ("environments: {p: {secrets: {backend: directory, path: /run/secrets}}}\n", []),
        ("environments: {p: {secrets: {backend: directory}}}\n", ["missing-key"]),
        ("environments: {p: {secrets: {backend: vault}}}\n", ["invalid-choice"]),
        ("environments: {p: {secrets: {backend: env, path: x}}}\n", ["key-of-another-type"]),
        ("network: {allow: [127.0.0.1, 10.0.0.0/8, sis.local]}\n", []),
        ("network: {allow: [10.0.0.1/8]}\n", ["invalid-network"]),
        ("operators: [{name: O, email: o@p.example, role: operator}]\n", ["not-yet-in-force"]),
        ("policy: {limits: {users: {percent: 20}}}\n", []),
        ("policy: {limits: {users: {percent: 200}}}\n", ["out-of-range"]),
        ("environment: {}\n", ["unknown-key"]),
    ],
)
def test_reconciler_yaml_has_a_form(files: Files, text: str, expected: list[str]) -> None:
    files.write("reconciler.yaml", text)
    assert sorted(files.codes()) == expected


def merges(*entries: str) -> str:
    return rostering("zip", {}) + "  merges:\n" + "".join(f"    - {{{each}}}\n" for each in entries)


def test_accounts_merge_once_in_one_step_with_a_reason(files: Files) -> None:
    assert of(files, merges("keep: a, merge: b, reason: x", "keep: a, merge: c, reason: y")) == []
    assert of(files, merges("keep: a, merge: a, reason: x")) == ["merge-with-itself"]
    assert of(files, merges("keep: a, merge: b, reason: x", "keep: c, merge: b, reason: x")) == ["duplicate-merge"]
    assert of(files, merges("keep: a, merge: b, reason: x", "keep: b, merge: c, reason: x")) == ["chained-merge"]
    circle = merges("keep: a, merge: b, reason: x", "keep: b, merge: a, reason: x")
    assert of(files, circle) == ["chained-merge", "chained-merge"]
    assert of(files, merges("keep: a, merge: b")) == ["missing-key"]
    files.customer(merges('keep: a, merge: b, reason: ""'))
    assert not files.load().customers


def test_wrong_merge_is_reported_at_its_place_with_a_hint(files: Files) -> None:
    files.customer(merges("keep: a, merge: b, reason: x", "keep: c, merge: b, reason: x"))
    (found,) = files.load().diagnostics
    assert found.span is not None
    line = files.folder.joinpath(found.span.file).read_text().splitlines()[found.span.line - 1]
    assert line[found.span.column - 1 :].startswith("b, reason")
    assert found.hint == "Keep one of the two entries: a person is merged into one account."
