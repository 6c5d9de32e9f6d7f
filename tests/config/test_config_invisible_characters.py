"""Characters that nobody sees, in keys and addresses of YAML: refused with their place and code point."""

from __future__ import annotations

import pytest

from reconciler.config.formatting.format import format_canonical_text
from reconciler.config.yaml.reader import read_yaml
from tests.support.customers.files import Files

ROSTERING = (
    "rostering: {{type: oneroster, client_partner_id: {partner}, match_with: identifier, protect: [{protect}],\n"
    "  sync: {{type: sftp, host: {host}, host_key: ssh-ed25519 "
    "AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f, username: {username},\n"
    "    password: {{secret: sftp}}, path: {path}}}}}\n"
)


@pytest.mark.parametrize(
    ("text", "place", "described"),
    [
        ("na\u200bme: x\n", "f.yaml:1:1", "U+200B ZERO WIDTH SPACE (character 3)"),
        ("a:\n  \u00a0b: x\n", "f.yaml:2:3", "U+00A0 NO-BREAK SPACE (character 1)"),
        ('{a: 1, "b\\u00ad": 2}\n', "f.yaml:1:8", "U+00AD SOFT HYPHEN (character 2)"),
    ],
)
def test_177_a_key_with_an_invisible_character_is_refused(text: str, place: str, described: str) -> None:
    _, (found,) = read_yaml(text.encode(), "f.yaml")
    assert (found.code, str(found.span)) == ("invisible-character", place)
    assert found.message == f"a key must not contain {described}"


def test_177_such_a_key_counts_as_the_key_that_it_looks_like() -> None:
    tree, found = read_yaml("name: x\nna\u2060me: y\n".encode(), "f.yaml")
    assert [each.code for each in found] == ["invisible-character", "duplicate-key"]
    assert tree == {"name": "x"}


@pytest.mark.parametrize(
    ("key", "value", "character"),
    [
        ("partner", "spring\ufefffield", "U+FEFF ZERO WIDTH NO-BREAK SPACE (character 7)"),
        ("protect", "s-1, s\u200b-2", "U+200B ZERO WIDTH SPACE (character 2)"),
        ("host", "sftp\u00ad.springfield.example", "U+00AD SOFT HYPHEN (character 5)"),
        ("username", "re\u200dconciler", "U+200D ZERO WIDTH JOINER (character 3)"),
        ("path", "/out/the\u00a0roster.zip", "U+00A0 NO-BREAK SPACE (character 9)"),
    ],
)
def test_177_an_id_or_an_address_with_an_invisible_character_is_refused(
    files: Files, key: str, value: str, character: str
) -> None:
    texts = {
        "partner": "springfield",
        "protect": "s-1",
        "host": "sftp.springfield.example",
        "username": "r",
        "path": "/out/roster.zip",
    }
    files.community()
    files.customer(ROSTERING.format(**texts | {key: value}))
    (found,) = files.load().diagnostics
    assert found.code == "invisible-character"
    assert found.message.endswith(f"must not contain {character}")
    assert found.span is not None
    assert found.span.file == "customers/springfield/customer.yaml"
    assert found.span.line > 1
    assert found.span.column > 1


def test_177_people_platforms_and_origins_are_checked(files: Files) -> None:
    files.community()
    files.customer(
        "administrators:\n"
        "  - {given_name: An\u200bn, family_name: Bee, email: ann@spring\u200bfield.example, username: an\u202en,"
        " role: admin}\n"
        "lti: {platforms: [{id: canvas, consumer_key: ke\u00ady, shared_secret: {secret: lti}, community: high,\n"
        "  origins: ['https://lms\u200b.example']}]}\n",
        without=["administrators", "  -"],
    )
    found = files.load().diagnostics
    assert [(each.code, each.message.partition(" must not contain ")[::2]) for each in found] == [
        ("invisible-character", ("email", "U+200B ZERO WIDTH SPACE (character 11)")),
        ("invisible-character", ("username", "U+202E RIGHT-TO-LEFT OVERRIDE (character 3)")),
        ("invisible-character", ("consumer_key", "U+00AD SOFT HYPHEN (character 3)")),
        ("invisible-character", ("origins item 1", "U+200B ZERO WIDTH SPACE (character 12)")),
    ]


def test_177_a_choice_and_an_id_name_the_character_instead_of_the_choices(files: Files) -> None:
    files.community()
    files.customer("status: acti\u200bve\n")
    (found,) = files.load().diagnostics
    assert found.message == "status must not contain U+200B ZERO WIDTH SPACE (character 5)"


def test_177_a_consumer_key_has_one_form_only(files: Files) -> None:
    files.community()
    files.customer(
        "lti: {platforms: [{id: canvas, consumer_key: \uff2bey, shared_secret: {secret: lti}, community: high}]}\n"
    )
    (found,) = files.load().diagnostics
    assert found.code == "unusual-character"
    assert found.message.endswith("without U+FF2B FULLWIDTH LATIN CAPITAL LETTER K")


def test_177_administrators_whose_usernames_look_the_same_are_refused(files: Files) -> None:
    files.community()
    files.customer(
        "administrators:\n"
        "  - {given_name: Ann, family_name: Bee, email: a@x.example, username: rene\u0301, role: admin}\n"
        "  - {given_name: Rene, family_name: Bee, email: b@x.example, username: REN\u00c9, role: admin}\n",
        without=["administrators", "  -"],
    )
    assert [each.code for each in files.load().diagnostics] == ["duplicate-username"]


def test_177_a_syntax_error_names_the_character_of_its_line() -> None:
    _, (found,) = read_yaml("a: 1\nb:\u00a0two\nc: 3\n".encode(), "f.yaml")
    assert (found.code, found.span.line if found.span else 0) == ("yaml-syntax", 3)
    _, (found,) = read_yaml("a: [1,\u00a0{]\n".encode(), "f.yaml")
    assert found.hint == "Replace U+00A0 NO-BREAK SPACE in column 7 by a space or nothing."


def test_177_names_keep_what_their_language_needs(files: Files) -> None:
    files.community()
    files.customer(
        "administrators:\n"
        "  - {given_name: '\u0639\u0644\u06cc\u200c\u0631\u0636\u0627', family_name: '\u845b\U000e0100',"
        " email: a@x.example, username: ali, role: admin}\n",
        without=["administrators", "  -"],
    )
    assert files.load().diagnostics == ()


def reformat(text: str) -> str:
    made = format_canonical_text(text.encode(), "customer.yaml")
    assert format_canonical_text(made.encode(), "customer.yaml") == made
    return made


@pytest.mark.parametrize(
    "scalar",
    [
        '"Xyz\\u00e9"',
        '"zero\\u200bwidth"',
        '"\\x41bc"',
        '"next\\Nline"',
        '"no\\_break"',
        '"\\U0001F600"',
        '"a\\/b"',
        '"quote \\" and \\xe9"',
        '"two\\nlines, \\xe9"',
        '"\\x31"',
        '"\\\\\\x41"',
    ],
)
def test_178_formatting_keeps_escapes_as_written(scalar: str) -> None:
    assert reformat(f"name: {scalar}\n") == f"name: {scalar}\n"
    assert reformat(f"name: [{scalar}, 'b']\n") == f"name: [{scalar}, b]\n"


def test_178_formatting_keeps_the_escapes_of_a_key() -> None:
    assert reformat('"xyz\\u00e9": a\n') == '"xyz\\u00e9": a\n'


@pytest.mark.parametrize(
    ("scalar", "expected"),
    [
        ('"xyz\\u00e9 of the\n  town"', '"xyz\\u00e9 of the town"'),
        ('"xyz\\u00e9\n\n  town"', '"xyz\\u00e9\\ntown"'),
        ('"xyz\\u00e9\\\n  s"', '"xyz\\u00e9s"'),
        ('"backslash \\\\u00e9"', "backslash \\u00e9"),
        ('"plain"', "plain"),
        ('"say \\"hi\\""', 'say "hi"'),
    ],
)
def test_178_escapes_in_several_lines_and_texts_without_any(scalar: str, expected: str) -> None:
    assert reformat(f"name: {scalar}\n") == f"name: {expected}\n"
