"""Forms are read in one way only."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.service.form import FormProblem, UnreadableFormError, check_form_type, parse_form

TEXT = st.text(st.characters(exclude_categories=("Cc", "Cs")), max_size=40)


@given(st.lists(st.tuples(TEXT, TEXT), max_size=8))
def test_every_form_of_a_browser_is_read_as_it_was_written(fields: list[tuple[str, str]]) -> None:
    body = urlencode(fields).encode()
    assert parse_form(body) == tuple(fields)
    assert parse_form(body) == tuple(parse_qsl(body.decode(), keep_blank_values=True, errors="strict"))


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        (b"", ()),
        (b"a", (("a", ""),)),
        (b"a=&a=", (("a", ""), ("a", ""))),
        (b"a=b=c", (("a", "b=c"),)),
        (b"a=1;b=2", (("a", "1;b=2"),)),
        (b"a=1&&b=2&", (("a", "1"), ("b", "2"))),
        (b"a+b=c+d%2B", (("a b", "c d+"),)),
        (b"a=%2541", (("a", "%41"),)),
        ("a=Zoë".encode(), (("a", "Zoë"),)),
        (b"a=one%0D%0Atwo%09", (("a", "one\r\ntwo\t"),)),
    ],
)
def test_what_stands_in_a_form_is_decoded_once(body: bytes, fields: tuple[tuple[str, str], ...]) -> None:
    assert parse_form(body) == fields


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b"a=%", FormProblem.BROKEN_ESCAPE),
        (b"a=%4", FormProblem.BROKEN_ESCAPE),
        (b"a=%u0041", FormProblem.BROKEN_ESCAPE),
        (b"a=%FF", FormProblem.NOT_UTF_8),
        (b"a=%C0%80", FormProblem.NOT_UTF_8),
        (b"a=\xed\xa0\x80", FormProblem.NOT_UTF_8),
        (b"a=b%00c", FormProblem.CONTROL_CHARACTER),
        (b"a%1b=c", FormProblem.CONTROL_CHARACTER),
        (b"a=" + b"x" * 16_385, FormProblem.TOO_LARGE),
        (b"a" * 256 + b"=1", FormProblem.TOO_LARGE),
        (b"a=1&" * 251, FormProblem.TOO_MANY_FIELDS),
        (b"a" * 70_000, FormProblem.TOO_LARGE),
    ],
)
def test_a_form_that_could_be_read_in_two_ways_is_refused(body: bytes, problem: FormProblem) -> None:
    with pytest.raises(UnreadableFormError) as refused:
        parse_form(body)
    assert refused.value.problem == problem


@pytest.mark.parametrize(
    "header", ["application/x-www-form-urlencoded", "Application/X-WWW-Form-Urlencoded; charset=UTF-8"]
)
def test_a_form_says_what_it_is(header: str) -> None:
    check_form_type(header)


@pytest.mark.parametrize(
    "header", ["", "text/plain", "multipart/form-data; boundary=x", "application/x-www-form-urlencoded; charset=utf-7"]
)
def test_another_media_type_is_refused(header: str) -> None:
    with pytest.raises(UnreadableFormError) as refused:
        check_form_type(header)
    assert refused.value.problem is FormProblem.WRONG_TYPE
