"""Signatures against the published examples, and against oauthlib."""

from __future__ import annotations

import hashlib
import hmac
from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from oauthlib.oauth1.rfc5849 import signature as oracle
from oauthlib.oauth1.rfc5849 import utils as oracle_utils

from reconciler.service.form import parse_form
from reconciler.service.lti.signature import (
    SignatureMethod,
    build_base_string,
    check_signature,
    encode_signature,
    normalize_url,
    percent_encode,
    sign,
)

#: LTI 1.1 Implementation Guide, appendix B
GUIDE_URL = "http://dr-chuck.com/ims/php-simple/tool.php"
GUIDE = {
    "basiclti_submit": "Launch Endpoint with BasicLTI Data",
    "context_id": "456434513",
    "context_label": "SI182",
    "context_title": "Design of Personal Environments",
    "lis_person_contact_email_primary": "user@school.edu",
    "lis_person_name_full": "Jane Q. Public",
    "lis_person_sourced_id": "school.edu:user",
    "lti_message_type": "basic-lti-launch-request",
    "lti_version": "LTI-1p0",
    "oauth_callback": "about:blank",
    "oauth_consumer_key": "12345",
    "oauth_nonce": "c8350c0e47782d16d2fa48b2090c1d8f",
    "oauth_signature_method": "HMAC-SHA1",
    "oauth_timestamp": "1251600739",
    "oauth_version": "1.0",
    "resource_link_id": "120988f929-274612",
    "roles": "Instructor",
    "tool_consumer_instance_description": "University of School (LMSng)",
    "tool_consumer_instance_guid": "lmsng.school.edu",
    "user_id": "292832126",
}
GUIDE_SIGNATURE = "TPFPK4u3NwmtLt0nDMP1G1zG30U="


def test_the_example_of_the_guide_is_right_without_the_callback_that_its_form_has() -> None:
    fields = [(name, value) for name, value in GUIDE.items() if name != "oauth_callback"]
    assert check_signature(build_base_string("POST", normalize_url(GUIDE_URL), fields), GUIDE_SIGNATURE, ["secret"])
    with_callback = build_base_string("POST", normalize_url(GUIDE_URL), GUIDE.items())
    assert not check_signature(with_callback, GUIDE_SIGNATURE, ["secret"])


def test_the_base_string_of_the_rfc_is_built_from_query_body_and_header() -> None:
    # RFC 5849, section 3.4.1.1
    query, body = b"b5=%3D%253D&a3=a&c%40=&a2=r%20b", b"c2&a3=2+q"
    header = {
        "oauth_consumer_key": "9djdj82h48djs9d2",
        "oauth_token": "kkk9d7dh3k39sjv7",
        "oauth_signature_method": "HMAC-SHA1",
        "oauth_timestamp": "137131201",
        "oauth_nonce": "7d8f3e4a",
        "oauth_signature": "bYT5CMsGcbgUdFHObYMEfcx6bsw=",
    }
    fields = (*parse_form(query), *parse_form(body), *header.items())
    assert build_base_string("post", normalize_url("http://EXAMPLE.COM:80/request?b5=1"), fields) == (
        "POST&http%3A%2F%2Fexample.com%2Frequest&a2%3Dr%2520b%26a3%3D2%2520q%26a3%3Da%26b5%3D%253D%25253D%26c%2540%3D"
        "%26c2%3D%26oauth_consumer_key%3D9djdj82h48djs9d2%26oauth_nonce%3D7d8f3e4a%26oauth_signature_method%3DHMAC-SHA1"
        "%26oauth_timestamp%3D137131201%26oauth_token%3Dkkk9d7dh3k39sjv7"
    )


@pytest.mark.parametrize(
    ("url", "normal"),
    [
        ("http://Read.Example", "http://read.example/"),
        ("HTTP://read.example:80/a", "http://read.example/a"),
        ("https://read.example:443/a", "https://read.example/a"),
        ("http://read.example:443/a", "http://read.example:443/a"),
        ("https://read.example:80/a", "https://read.example:80/a"),
        ("https://read.example:8443/A%2fb/?x=1#y", "https://read.example:8443/A%2fb/"),
        ("https://user:pw@read.example/a", "https://read.example/a"),
    ],
)
def test_ports_and_cases_of_a_url_are_made_alike(url: str, normal: str) -> None:
    assert normalize_url(url) == normal


@given(st.text())
def test_encoding_is_that_of_oauthlib(text: str) -> None:
    try:
        expected = oracle_utils.escape(text)
    except UnicodeEncodeError:
        with pytest.raises(UnicodeEncodeError):
            percent_encode(text)
        return
    assert percent_encode(text) == expected


def test_tilde_stays_and_other_marks_are_encoded() -> None:
    assert percent_encode("~-._*!'() é") == "~-._%2A%21%27%28%29%20%C3%A9"


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


@given(st.lists(st.tuples(TEXT, TEXT), max_size=12), TEXT)
def test_base_string_and_signature_are_those_of_oauthlib(fields: list[tuple[str, str]], secret: str) -> None:
    fields = [(name, value) for name, value in fields if name != "oauth_signature"]
    base = build_base_string("POST", "https://read.example/lti/launch", fields)
    assert base == oracle.signature_base_string(
        "POST",
        "https://read.example/lti/launch",
        oracle.normalize_parameters(fields),  # type: ignore[arg-type]  # its stubs know dictionaries only
    )
    key = f"{oracle_utils.escape(secret)}&".encode()
    expected = b64encode(hmac.new(key, base.encode(), hashlib.sha1).digest()).decode()
    assert encode_signature(sign(base, secret)) == expected
    assert check_signature(base, expected, ["another", secret])


@pytest.mark.parametrize("method", SignatureMethod)
def test_only_the_very_signature_is_right(method: SignatureMethod) -> None:
    base = build_base_string("POST", GUIDE_URL, GUIDE.items())
    right = encode_signature(sign(base, "secret", method))
    assert check_signature(base, right, ["secret"], method)
    assert not check_signature(base, right, [], method)
    assert not check_signature(base, right, ["Secret"], method)
    for wrong in ("", right[:-4], right.replace("=", ""), f" {right}", f"{right}\n", right.swapcase(), "é" * 28):
        assert not check_signature(base, wrong, ["secret"], method)
