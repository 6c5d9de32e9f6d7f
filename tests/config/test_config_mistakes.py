"""How a mistake is told: what was meant, where it stands, what is near; and never a secret."""

from __future__ import annotations

import pytest

from reconciler.model.diagnostic import Severity
from tests.support.customers.files import Files

ONEROSTER = "rostering:\n  type: oneroster\n  client_partner_id: org\n  sync: {type: zip}\n"
SECRET = "hunter2"


def platform(**changes: str) -> str:
    keys = {"id": "a", "consumer_key": "k", "community": "high", "shared_secret": "{secret: a}", **changes}
    return "lti:\n  platforms:\n    - {" + ", ".join(f"{key}: {value}" for key, value in keys.items()) + "}\n"


def api(**changes: str) -> str:
    keys = {
        "type": "api",
        "url": "'https://x.example'",
        "authorization": "oauth1",
        "consumer_key": SECRET,
        "secret_key": f"{{secret: {SECRET}}}",
        **changes,
    }
    sync = ", ".join(f"{key}: {value}" for key, value in keys.items())
    return f"rostering: {{type: oneroster, client_partner_id: x, match_with: email, sync: {{{sync}}}}}\n"


def test_wrong_choice_names_alternatives_the_nearest_and_the_purpose(files: Files) -> None:
    files.customer(ONEROSTER + "  match_with: sourcedId\n")
    assert files.said() == (
        "customers/springfield/customer.yaml:11:15: error: match_with must be one of identifier, sourced_id, email, "
        "username (got sourcedId) [invalid-choice]\n"
        "    Did you mean sourced_id? The field that matches roster rows to accounts."
    )


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("shoe_size", None),
        ("id", None),
        ("student-id", "identifier"),
        ("E-Mail", "email"),
        ("emial", "email"),
    ],
)
def test_a_wrong_choice_suggests_what_was_meant_or_nothing(files: Files, written: str, meant: str | None) -> None:
    files.customer(ONEROSTER + f"  match_with: {written}\n")
    suggestion = f"Did you mean {meant}? " if meant else ""
    assert files.said().endswith(f"[invalid-choice]\n    {suggestion}The field that matches roster rows to accounts.")


@pytest.mark.parametrize(
    ("block", "hint"),
    [
        ("status: disabled\n", "Did you mean deactivated?"),
        (api(frequency="auto", period="nightly"), "Did you mean daily?"),
        ("firstname: x\n", "Valid keys: "),
        ("time_zone: x\n", "Did you mean timezone?"),
    ],
)
def test_a_word_of_everyday_language_suggests_ours(files: Files, block: str, hint: str) -> None:
    files.customer(block)
    assert f"\n    {hint}" in files.said()


@pytest.mark.parametrize(("written", "meant"), [("administrator", "admin"), ("teacher", "instructor")])
def test_a_role_of_a_roster_suggests_ours(files: Files, written: str, meant: str) -> None:
    files.customer()
    path = files.folder / "customers/springfield/customer.yaml"
    path.write_text(path.read_text().replace("role: admin", f"role: {written}"))
    assert f"(got {written}) [invalid-choice]\n    Did you mean {meant}?" in files.said()


def test_an_unknown_key_names_the_nearest(files: Files) -> None:
    files.customer("nmae: x\n")
    assert files.said() == (
        "customers/springfield/customer.yaml:7:1: error: unknown key nmae [unknown-key]\n    Did you mean name?"
    )


@pytest.mark.parametrize(
    ("given", "meant"),
    [("chicago", "America/Chicago"), ("America/Chicagoo", "America/Chicago"), ("berlin", "Europe/Berlin")],
)
def test_a_time_zone_that_is_misspelt_names_the_nearest(files: Files, given: str, meant: str) -> None:
    files.customer(f"timezone: {given}\n")
    assert files.said().endswith(f"[invalid-timezone]\n    Did you mean {meant}?")


def test_a_time_zone_with_nothing_near_names_none(files: Files) -> None:
    files.customer("timezone: Mars/Olympus\n")
    assert files.said().endswith("[invalid-timezone]")


def test_what_is_too_long_is_named(files: Files) -> None:
    files.customer(api(timeout="30h"))
    assert "error: timeout must be at most 1d" in files.said()


def test_invalid_host_key_says_where_to_get_one(files: Files) -> None:
    sftp = "{type: sftp, host: x.example, username: u, password: {secret: s}, path: /r.zip, host_key: ssh-rsa}"
    files.customer(f"rostering: {{type: oneroster, client_partner_id: x, match_with: email, sync: {sftp}}}\n")
    assert "Print it with `reconciler roster probe sftp://HOST`" in files.said()


def test_unknown_key_without_a_near_match_lists_known_keys(files: Files) -> None:
    files.customer("support: {fax: 1}\n")
    assert "Valid keys: email, url" in files.said()


def test_missing_key_points_at_its_mapping(files: Files) -> None:
    files.customer(ONEROSTER)
    assert files.said() == (
        "customers/springfield/customer.yaml:7:1: error: match_with is missing; rostering type oneroster requires it "
        "[missing-key]\n    The field that matches roster rows to accounts."
    )


def test_required_key_set_to_null_points_at_the_null(files: Files) -> None:
    files.customer("agreements: null\n", without=["agreements"])
    assert files.said().startswith(
        "customers/springfield/customer.yaml:6:1: error: agreements is required, but is set to null"
    )


def test_an_item_of_a_list_is_counted(files: Files) -> None:
    files.customer(ONEROSTER + '  match_with: email\n  protect: [u-1, ""]\n')
    assert ":12:18: error: protect item 2 must not be empty [invalid-text]" in files.said()


def test_all_mistakes_are_reported_in_file_order(files: Files) -> None:
    files.customer("nmae: x\ntimezone: Mars\n")
    files.customer("nmae: x\n", name="ogdenville")
    files.community("seats: 1\n")
    files.write("customers/defaults.yaml", "kind: defaults\nstatsu: active\n")
    files.write("reconciler.yaml", "formt: 1\n")
    places = [str(each.span) for each in files.load().diagnostics]
    assert places == [
        "customers/defaults.yaml:2:1",
        "customers/ogdenville/customer.yaml:7:1",
        "customers/springfield/communities/high.yaml:5:1",
        "customers/springfield/customer.yaml:7:1",
        "customers/springfield/customer.yaml:8:11",
        "reconciler.yaml:1:1",
    ]


@pytest.mark.parametrize(("place", "kind"), [("customer.yaml", "customer"), ("lessons/a.yaml", "lesson")])
def test_value_of_the_wrong_type_is_one_mistake(files: Files, place: str, kind: str) -> None:
    files.customer()
    files.write(f"customers/springfield/{place}", "kind: community\nseats: 1\n")
    (found,) = files.load().diagnostics
    assert (found.code, found.message) == ("wrong-kind", f"kind must be {kind} in this file")


def test_document_without_kind_lists_the_kinds(files: Files) -> None:
    files.customer(without=["kind"])
    assert "kind is missing [missing-key]\n    Start the file with its kind" in files.said()


@pytest.mark.parametrize(
    ("more", "code"),
    [
        (f"password: {SECRET}\n", "unknown-key"),
        (f"token: {SECRET}\n", "unknown-key"),
        (f"{SECRET} {SECRET}: x\n", "unknown-key"),
        (platform(shared_secret=SECRET), "literal-secret"),
        (platform(shared_secret=f"{{secret: {SECRET.upper()}}}"), "invalid-id"),
        (platform(shared_secret=f"{{{SECRET}: 1}}"), "unknown-key"),
        (platform(shared_secret=f"{{generated: {SECRET}}}"), "wrong-type"),
        (platform(consumer_key=f"[{SECRET}]"), "wrong-type"),
        (api(url=f"'https://u:{SECRET}@x.example'"), "literal-secret"),
        (api(authorization=SECRET), "invalid-choice"),
        (api(secret_key=f"[{SECRET}]"), "literal-secret"),
        (api(type="zip"), "key-of-another-type"),
        (f"notify: {{webhook: '{SECRET}'}}\n", "invalid-url"),
        (f"support: {{email: {SECRET}}}\n", "invalid-email"),
    ],
)
def test_no_mistake_repeats_what_may_be_a_secret(files: Files, more: str, code: str) -> None:
    files.community()
    files.customer(more)
    found = files.load().diagnostics
    assert code in [each.code for each in found]
    assert SECRET not in files.said().lower()


def test_a_literal_password_is_refused_with_what_to_write(files: Files) -> None:
    person = "given_name: A, family_name: B, email: a@b.example, username: a, role: admin"
    files.customer(f"administrators:\n  - {{{person}, password: {SECRET}}}\n", without=["administrators", "  - {"])
    assert "password must be a reference {secret: NAME}" in files.said()
    assert "[literal-secret]" in files.said()
    assert SECRET not in files.said()
    assert SECRET not in str(files.load())


def test_a_store_s_url_is_never_repeated(files: Files) -> None:
    files.write("reconciler.yaml", f'environments: {{p: {{store: "mysql://u:{SECRET}@h/d"}}}}\n')
    assert files.codes() == ["invalid-store", "password-in-url"]
    assert SECRET not in files.said()


@pytest.mark.parametrize(
    "more",
    [
        "previously: []\n",
        "previously: [old]\n",
        f"{ONEROSTER}  match_with: email\n  missing: keep\n  protect: [u-1]\n  limits: {{users: {{percent: 1}}}}\n",
        *(
            f"{ONEROSTER}  match_with: email\n  {more}\n"
            for more in (
                "select: {schools: [s-1]}",
                "calendar: [{from: 2027-06-10, to: 2027-08-20, mode: adds_only}]",
                "allow: [{gate: row-count-drop, until: 2026-12-01, reason: x}]",
                "approvals: [{people: 120, until: 2027-07-01, reason: x}]",
                "limits: {window: 3d}",
                "limits: {rekeys: {percent: 1}}",
                "limits: {updates: {percent: 1}}",
                "limits: {scope_narrowed: {percent: 1}}",
                "limits: {role_escalations: {count: 1}}",
            )
        ),
    ],
)
def test_effective_or_empty_keys_raise_no_warning(files: Files, more: str) -> None:
    files.customer(more)
    assert files.codes() == []


def test_password_in_a_store_url_warns_without_repeating_it(files: Files) -> None:
    files.write("reconciler.yaml", f'environments: {{p: {{store: "postgresql://u:{SECRET}@h/d"}}}}\n')
    (found,) = files.load().diagnostics
    assert (found.code, found.severity) == ("password-in-url", Severity.WARNING)
    assert str(found.span) == "reconciler.yaml:1:27"
    assert SECRET not in str(found)
