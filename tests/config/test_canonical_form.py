"""The canonical form: keys in order, comments with their keys, values as they were."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.config.formatting import format as form
from reconciler.config.formatting.format import format_canonical_text
from reconciler.config.formatting.order import get_fields_by_key
from reconciler.config.models.limits import UserLimit
from reconciler.config.models.sync import SftpSync
from reconciler.model.diagnostic import ConfigurationRefusal, Refusal

ROOT = Path(__file__).resolve().parents[2]


def formatted(text: str, file: str = "customer.yaml") -> str:
    made = format_canonical_text(text.encode(), file)
    assert format_canonical_text(made.encode(), file) == made
    return made


def test_comments_move_with_their_key() -> None:
    assert (
        formatted(
            "# the file\n"
            "id: springfield  # the id\n"
            "# about the name,\n"
            "# in two lines\n"
            "name: Springfield\n"
            "kind: customer   # the kind\n"
            "# the time\n"
            "timezone: UTC\n"
            "address:         # where\n"
            "  country: US    # the country\n"
            "  # the city\n"
            "  city: Town\n"
            "# the end\n"
        )
        == "# the file\n"
        "kind: customer   # the kind\n"
        "id: springfield  # the id\n"
        "# about the name,\n"
        "# in two lines\n"
        "name: Springfield\n"
        "address:         # where\n"
        "  # the city\n"
        "  city: Town\n"
        "  country: US    # the country\n"
        "# the time\n"
        "timezone: UTC\n"
        "# the end\n"
    )


def test_leading_blank_lines_keep_the_head_with_the_file() -> None:
    assert formatted("\n\n# head\nid: a\nkind: lesson\n") == "# head\nkind: lesson\nid: a\n"


def test_head_stays_on_top_and_separate_from_the_first_key() -> None:
    text = "# head\n\n# of the name\nname: N\n# of the kind\nkind: lesson\n"
    assert formatted(text) == "# head\n\n# of the kind\nkind: lesson\n# of the name\nname: N\n"
    assert formatted("# head\nname: N\n# of the kind\nkind: lesson\n") == (
        "# head\n\n# of the kind\nkind: lesson\nname: N\n"
    )


def test_comment_below_the_last_key_belongs_to_its_depth() -> None:
    text = (
        "rostering:\n  suffix: x\n  type: oneroster\n  # deep\nkind: customer\n"
        "administrators:\n- role: admin\n  given_name: A\n  # of the person\n# of the name\nname: N\n"
    )
    assert formatted(text) == (
        "kind: customer\n"
        "# of the name\n"
        "name: N\n"
        "administrators:\n"
        "  - given_name: A\n"
        "    role: admin\n"
        "    # of the person\n"
        "rostering:\n"
        "  type: oneroster\n"
        "  suffix: x\n"
        "  # deep\n"
    )


def test_items_of_lists_keep_their_order_and_their_comments() -> None:
    text = (
        "administrators:\n"
        "# the boss\n"
        "- role: admin\n"
        "  # her name\n"
        "  given_name: A  # first\n"
        "\n"
        "- # second\n"
        "  {role: admin, given_name: B}\n"
        "rostering:\n"
        "  protect:\n"
        "  - z  # last\n"
        "  - a\n"
    )
    assert formatted(text) == (
        "administrators:\n"
        "  # the boss\n"
        "  # her name\n"
        "  - given_name: A  # first\n"
        "    role: admin\n"
        "\n"
        "  - {given_name: B, role: admin}  # second\n"
        "rostering:\n"
        "  protect:\n"
        "    - z  # last\n"
        "    - a\n"
    )


def test_braces_stay_unless_too_long_or_commented() -> None:
    assert formatted("address: { country: US,   city: Town }\n") == "address: {city: Town, country: US}\n"
    assert formatted("address: {country: US, # here\n  city: Town} # there\n") == (
        "address:  # there\n  city: Town\n  country: US  # here\n"
    )
    assert formatted("address: {street: [one,\n two], country: US}\n") == "address: {street: [one, two], country: US}\n"
    long = ", ".join(f"street number {number}" for number in range(8))
    assert formatted(f"address: {{street: [{long}], country: US}}\n").splitlines()[:3] == [
        "address:",
        "  street:",
        "    - street number 0",
    ]
    assert formatted("rostering: {}\nlti: {platforms: []}\n") == "lti: {platforms: []}\nrostering: {}\n"


def test_quotes_stay_only_where_they_are_needed() -> None:
    texts = {
        '"Springfield"': "Springfield",
        "'it''s'": "it's",
        '"say \\"no\\""': 'say "no"',
        '"\\"no\\" again"': "'\"no\" again'",
        '"1.1"': '"1.1"',
        "1.1": "1.1",
        "'02134'": '"02134"',
        "02134": "02134",
        "2026-08-01": "2026-08-01",
        '"2026-08-01"': '"2026-08-01"',
        "'02:30'": '"02:30"',
        "02:30": "02:30",
        '"yes"': '"yes"',
        "yes": "yes",
        "True": "True",
        '"null"': '"null"',
        "~": "null",
        "": "null",
        '""': '""',
        '"@home"': '"@home"',
        '"a: b"': '"a: b"',
        '"a #b"': '"a #b"',
        '"- a"': '"- a"',
        '"-a"': "-a",
        '" a"': '" a"',
        '"a\\tb"': '"a\\tb"',
        '"https://a.example/b#c"': "https://a.example/b#c",
        '"a\\u2028b\\u0085"': '"a\\u2028b\\u0085"',
        '"Málaga 𝄞"': "Málaga 𝄞",
    }
    for given, wanted in texts.items():
        assert formatted(f"name: {given}\n") == f"name: {wanted}\n"
    assert formatted('support: {url: "https://a.example", email: "a@b.example"}\n') == (
        'support: {email: a@b.example, url: "https://a.example"}\n'
    )


def test_multiline_texts_keep_lines_and_long_ones_never_fold() -> None:
    long = "word " * 60 + "end"
    assert formatted(f"name: {long}\n") == f"name: {long}\n"
    text = (
        "profile:\n    description: |  # told\n       one\n         two\n\n       three\n    phone: x\n"
        "name: >-\n    a long\n    name\n"
    )
    assert formatted(text) == (
        "name: >-\n  a long\n  name\n"
        "profile:\n  description: |    # told\n    one\n      two\n\n    three\n  phone: x\n"
    )
    assert formatted('name: "one\\ntwo"\n') == "name: |-\n  one\n  two\n"
    assert formatted('name: "  one\\n two\\n"\n') == "name: |2\n    one\n   two\n"
    for kept in ('"one \\ntwo"', '"one\\n\\n"', '"\\n"', '"one\\r\\ntwo"'):
        assert formatted(f"name: {kept}\n") == f"name: {kept}\n"


def test_blank_lines_are_single_and_never_at_either_end() -> None:
    text = "\n\nkind: lesson\n\n\n\n# of the id\n\nid: a   \n\n\nurl: u\ntitle: T\n\n\n"
    assert formatted(text) == "kind: lesson\n\n# of the id\n\nid: a\ntitle: T\n\nurl: u\n"


def test_line_ends_document_marks_and_byte_order_mark_are_normalized() -> None:
    text = "\ufeff%YAML 1.2\n--- # head\r\nid: a\r\nkind: lesson # k\r\n... # end\r\n"
    assert formatted(text) == "# head\nkind: lesson # k\nid: a\n# end\n"


def test_comment_outside_any_entry_is_kept() -> None:
    for text in (
        "kind: # one\n  lesson # two\n",
        "kind:\n  # one\n  lesson # two\n",
        "lti: { # one\n  } # two\n",
        "lti: [ # one\n\n # two\n ]\n",
        "# one\n{} # two\n",
        "{ # one\n kind: lesson,\n # two\n}\n",
        "administrators:\n- # one\n  # two\n  role: admin\n",
        "administrators: [\n{role: admin # one\n}, # two\n]\n",
        "? kind # one\n: lesson # two\n",
        "kind:\n  - - a # one\n    # two\n",
    ):
        made = formatted(text)
        assert made.count("# one") == 1, text
        assert made.count("# two") == 1, text


def test_keys_follow_model_order_with_their_own_first() -> None:
    assert list(get_fields_by_key(UserLimit)) == ["percent", "per_school_percent", "floor"]
    assert list(get_fields_by_key(SftpSync))[:4] == ["type", "host", "port", "username"]
    text = "sync: {}\n"
    defaults = "community: {login_timeout: 8h, lessons: all}\nrostering:\n  sync: {at: x, host: y, frequency: auto}\n"
    assert formatted(defaults + "kind: defaults\n" + text) == (
        "kind: defaults\nrostering:\n  sync: {host: y, frequency: auto, at: x}\n"
        "community: {lessons: all, login_timeout: 8h}\nsync: {}\n"
    )


def test_chosen_names_keep_order_because_the_first_environment_is_default() -> None:
    text = "environments:\n  z: {secrets: {path: p, backend: directory}, store: s}\n  a: {}\nformat: 1\n"
    assert formatted(text, "reconciler.yaml") == (
        "format: 1\nenvironments:\n  z: {store: s, secrets: {backend: directory, path: p}}\n  a: {}\n"
    )
    assert formatted("policy: {limits: {users: {floor: 1, percent: 2}, window: 7d}}\n", "reconciler.yaml") == (
        "policy: {limits: {window: 7d, users: {percent: 2, floor: 1}}}\n"
    )


def test_file_kind_comes_from_its_content_or_its_place() -> None:
    assert formatted("title: T\nid: a\n", "x/lessons/a.yaml") == "id: a\ntitle: T\n"
    assert formatted("title: T\nkind: lesson\n", "anything.yaml") == "kind: lesson\ntitle: T\n"
    assert formatted("title: T\nid: a\n", "anything.yaml") == "title: T\nid: a\n"
    assert formatted("nmae: x\nname: y\n") == "name: y\nnmae: x\n"


@pytest.mark.parametrize(
    ("text", "code", "place"),
    [
        ("a: [\n", "yaml-syntax", "2:1"),
        ("kind: lesson\nid: a\nid: b\n", "duplicate-key", "3:1"),
        ("a: &x 1\nb: *x\n", "anchor", "1:4"),
        ("a:\n  <<: {b: c}\n", "merge-key", "2:3"),
        ("a: !x 1\n", "tag", "1:4"),
        ("- a\n", "wrong-type", "1:1"),
        ("", "empty-file", "1:1"),
    ],
)
def test_unreadable_file_is_refused_with_its_place(text: str, code: str, place: str) -> None:
    with pytest.raises(ConfigurationRefusal) as caught:
        format_canonical_text(text.encode(), "customer.yaml")
    assert str(caught.value).startswith(f"customer.yaml:{place}: error: ")
    assert caught.value.diagnostics[0].code == code


@pytest.mark.parametrize(
    "wrong", ["kind: lesson\n", "kind: lesson # c\nid: b\n", "kind: [\n", 'kind: lesson # c\nid: "1"\n']
)
def test_text_that_would_change_meaning_is_refused(wrong: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(form, "render_document", lambda document: wrong)
    with pytest.raises(Refusal) as caught:
        format_canonical_text(b"kind: lesson # c\nid: 1\n", "lessons/a.yaml")
    assert caught.value.diagnostics[0].code == "not-the-same"


def test_the_documents_of_this_repository_are_in_canonical_form() -> None:
    for path in [ROOT / "reconciler.yaml", *(ROOT / "customers").rglob("*.yaml")]:
        assert format_canonical_text(path.read_bytes(), str(path)) == path.read_text(encoding="utf-8"), path
