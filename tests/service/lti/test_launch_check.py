"""A launch is genuine, or refused for one reason, before anything it says is believed."""

from __future__ import annotations

from urllib.parse import quote, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from oauthlib.oauth1 import SIGNATURE_HMAC_SHA256, SIGNATURE_PLAINTEXT

from reconciler.model.role import Role
from reconciler.service.form import UnreadableFormError, parse_form
from reconciler.service.lti.launch_check import (
    INDISTINCT,
    LaunchProblem,
    LaunchRefusal,
    PlatformSecrets,
    check_launch,
    read_launch,
)
from reconciler.service.lti.parameters import LaunchParameters
from reconciler.service.lti.signature import SignatureMethod
from tests.support.launches.signed import LAUNCH, NOW, SECRET, URL, change_field, sign_by_hand, sign_launch

PLATFORM = PlatformSecrets((SECRET,))


def launch(
    body: bytes, *, query: bytes = b"", platform: PlatformSecrets | None = PLATFORM, now: int = NOW, url: str = URL
) -> LaunchParameters:
    return check_launch(read_launch(url, query, body), platform, now)


def refuse(
    body: bytes, *, query: bytes = b"", platform: PlatformSecrets | None = PLATFORM, now: int = NOW
) -> LaunchRefusal:
    with pytest.raises(LaunchRefusal) as refused:
        launch(body, query=query, platform=platform, now=now)
    return refused.value


def test_a_signed_launch_says_who_arrives_and_where() -> None:
    said = launch(sign_launch())
    assert (said.user_id, said.role, said.full_name, said.email) == (
        "u-77",
        Role.STUDENT,
        "Zoë Ńowak",
        "zoe@school.example",
    )
    assert (said.course_title, said.resource_link_id, said.lesson) == ("Biology 7 & friends", "link-1", "")


@pytest.mark.parametrize(
    "more",
    [
        {"custom_x": ""},
        {"custom_x": "~*!'()"},
        {"lis_person_name_full": "\U0001f469\u200d\U0001f3eb Müller, \u200f\u05e9\u05dc"},
        {"custom_url": "https://x.example/?q=%20&r=a+b"},
        {"context_title": "100 % & more = ; yes"},
    ],
)
def test_launches_that_are_hard_to_encode_are_let_in(more: dict[str, str]) -> None:
    launch(sign_launch({**LAUNCH, **more}.items()))


@given(
    st.dictionaries(
        st.from_regex(r"custom_[a-z0-9_]{1,20}", fullmatch=True),
        st.text(st.characters(exclude_categories=("Cc", "Cs")), max_size=40),
        max_size=6,
    )
)
def test_every_signed_launch_is_let_in(custom: dict[str, str]) -> None:
    said = launch(sign_launch({**LAUNCH, **custom}.items()))
    assert all(said.values[name] == value for name, value in custom.items())


def test_the_query_of_the_launch_url_is_signed_too() -> None:
    body = sign_launch(url=f"{URL}?lesson=a+b&x=%C3%A9")
    launch(body, query=b"lesson=a+b&x=%C3%A9")
    assert refuse(body, query=b"lesson=a+c&x=%C3%A9").problem is LaunchProblem.WRONG_SIGNATURE
    assert refuse(body).problem is LaunchProblem.WRONG_SIGNATURE


def test_the_previous_secret_counts_while_the_lms_is_switched_over() -> None:
    assert launch(sign_launch(secret="old"), platform=PlatformSecrets((SECRET, "old"))).user_id == "u-77"
    assert refuse(sign_launch(secret="older"), platform=PlatformSecrets((SECRET, "old"))).problem in INDISTINCT


@pytest.mark.parametrize("name", [*LAUNCH, "oauth_nonce", "oauth_timestamp", "oauth_version", "oauth_signature_method"])
def test_whatever_is_changed_after_signing_is_refused(name: str) -> None:
    assert (
        refuse(change_field(sign_launch(), name, "1788264001" if name == "oauth_timestamp" else "other")).parameters
        is None
    )


def test_what_is_added_or_left_out_after_signing_is_refused() -> None:
    assert refuse(change_field(sign_launch(), "roles2", "Instructor")).problem is LaunchProblem.WRONG_SIGNATURE
    assert refuse(change_field(sign_launch(), "roles", None)).problem is LaunchProblem.WRONG_SIGNATURE


@given(st.data())
def test_no_changed_byte_is_let_in(data: st.DataObject) -> None:
    body = sign_launch()
    place = data.draw(st.integers(0, len(body) - 1))
    changed = body[:place] + bytes([data.draw(st.integers(1, 255))]) + body[place + 1 :]
    try:
        is_same = parse_form(changed) == parse_form(body)
    except UnreadableFormError:
        is_same = False
    if not is_same:
        refuse(changed)


@pytest.mark.parametrize(
    "name", ["user_id", "roles", "oauth_nonce", "lis_person_sourcedid", "custom_lesson", "oauth_consumer_key"]
)
@pytest.mark.parametrize("value", ["a", "u-77"])
def test_a_decisive_field_that_is_sent_twice_is_refused(name: str, value: str) -> None:
    body = sign_launch([*LAUNCH.items(), (name, "a"), (name, value)])
    assert refuse(body).problem is LaunchProblem.REPEATED


def test_a_user_of_the_query_against_one_of_the_body_is_refused() -> None:
    body = sign_launch(url=f"{URL}?user_id=u-1")
    assert refuse(body, query=b"user_id=u-1").problem is LaunchProblem.REPEATED
    assert (
        refuse(sign_launch(url=f"{URL}?user_id=u-77&user_id=u-77"), query=b"user_id=u-77&user_id=u-77").problem
        is LaunchProblem.REPEATED
    )


def test_a_field_that_decides_nothing_may_be_sent_twice() -> None:
    launch(sign_launch([*LAUNCH.items(), ("context_type", "CourseSection"), ("context_type", "Group")]))


def test_a_query_that_is_repeated_in_the_body_and_signed_once_needs_a_platform_that_does_so() -> None:
    query = b"custom_a=1&custom_b=%26"
    signed_once = sign_launch([*LAUNCH.items(), ("custom_a", "1"), ("custom_b", "&")])
    assert refuse(signed_once, query=query).problem is LaunchProblem.WRONG_SIGNATURE
    ruby = PlatformSecrets((SECRET,), is_query_repeated=True)
    assert launch(signed_once, query=query, platform=ruby).get("custom_b") == "&"
    # The same platform may also send honest launches, and none with a query that it did not sign.
    launch(sign_launch(url=f"{URL}?{query.decode()}"), query=query, platform=ruby)
    assert refuse(signed_once, query=b"custom_a=1&custom_c=2", platform=ruby).problem is LaunchProblem.WRONG_SIGNATURE


@pytest.mark.parametrize("seconds", [301, -301, 86_400])
def test_a_clock_that_differs_by_more_than_five_minutes_is_told(seconds: int) -> None:
    refused = refuse(sign_launch(timestamp=NOW + seconds))
    assert (refused.problem, refused.detail) == (LaunchProblem.EXPIRED, f"{seconds:+d}")
    # The signature was right: the LMS may be told.
    assert refused.parameters is not None


@pytest.mark.parametrize("seconds", [300, -300, 0])
def test_a_clock_within_five_minutes_is_right(seconds: int) -> None:
    launch(sign_launch(timestamp=NOW + seconds))


@pytest.mark.parametrize("timestamp", ["", "-5", "1e9", "1788264000.5", "٣" * 10, "0x10", "9" * 13])
def test_a_timestamp_is_a_number_of_seconds(timestamp: str) -> None:
    assert refuse(sign_launch(timestamp=timestamp)).problem is LaunchProblem.UNSIGNED


def test_an_unknown_key_and_a_wrong_secret_are_answered_alike() -> None:
    assert refuse(sign_launch(), platform=None).problem is LaunchProblem.UNKNOWN_KEY
    assert refuse(sign_launch(secret="guessed")).problem is LaunchProblem.WRONG_SIGNATURE
    assert {LaunchProblem.UNKNOWN_KEY, LaunchProblem.WRONG_SIGNATURE} <= INDISTINCT


def test_a_method_counts_only_where_the_platform_allows_it() -> None:
    body = sign_launch(method=SIGNATURE_HMAC_SHA256)
    assert refuse(body).problem is LaunchProblem.WRONG_METHOD
    launch(body, platform=PlatformSecrets((SECRET,), frozenset(SignatureMethod)))
    newer = PlatformSecrets((SECRET,), frozenset({SignatureMethod.HMAC_SHA256}))
    assert refuse(sign_launch(), platform=newer).problem is LaunchProblem.WRONG_METHOD
    assert refuse(sign_launch(method=SIGNATURE_PLAINTEXT)).problem is LaunchProblem.WRONG_METHOD


def test_a_launch_that_was_signed_for_http_is_told_apart() -> None:
    assert refuse(sign_launch(url=URL.replace("https", "http"))).problem is LaunchProblem.WRONG_SCHEME


@pytest.mark.parametrize(
    "url", ["https://other.example/lti/launch", "https://read.example:8443/lti/launch", f"{URL}/lesson"]
)
def test_a_launch_for_another_address_is_refused(url: str) -> None:
    assert refuse(sign_launch(url=url)).problem is LaunchProblem.WRONG_SIGNATURE


@pytest.mark.parametrize(
    "name", ["oauth_signature", "oauth_nonce", "oauth_consumer_key", "oauth_signature_method", "oauth_timestamp"]
)
def test_an_unsigned_launch_names_what_is_missing(name: str) -> None:
    refused = refuse(change_field(sign_launch(), name, None))
    assert (refused.problem, refused.detail) == (LaunchProblem.UNSIGNED, name)


def test_another_version_of_oauth_is_no_signature() -> None:
    assert refuse(sign_launch({**LAUNCH, "oauth_version": "2.0"}.items())).problem in (
        LaunchProblem.UNSIGNED,
        LaunchProblem.REPEATED,
    )


def test_a_nonce_in_another_encoding_is_the_same_nonce() -> None:
    body = sign_launch(nonce="cT3w0Qpx")
    assert read_launch(URL, b"", body.replace(b"cT3w0Qpx", b"%63T3w0Qp%78")).nonce == "cT3w0Qpx"
    # Encoded twice, it is another nonce, and so another launch, which nobody signed.
    twice = body.replace(b"cT3w0Qpx", quote("%63T3w0Qpx").encode())
    assert read_launch(URL, b"", twice).nonce == "%63T3w0Qpx"
    assert refuse(twice).problem is LaunchProblem.WRONG_SIGNATURE


@pytest.mark.parametrize(
    ("more", "problem", "detail"),
    [
        ({"lti_version": "LTI-2p0"}, LaunchProblem.WRONG_MESSAGE, "lti_version"),
        ({"lti_message_type": "LtiResourceLinkRequest"}, LaunchProblem.WRONG_MESSAGE, "lti_message_type"),
        ({"resource_link_id": ""}, LaunchProblem.INCOMPLETE, "resource_link_id"),
        ({"user_id": "x" * 256}, LaunchProblem.INCOMPLETE, "user_id"),
    ],
)
def test_a_signed_message_that_is_no_launch_is_told_to_the_lms(
    more: dict[str, str], problem: LaunchProblem, detail: str
) -> None:
    refused = refuse(sign_launch({**LAUNCH, **more}.items()))
    assert (refused.problem, refused.detail) == (problem, detail)
    assert refused.parameters is not None


def test_old_senders_and_the_choice_of_content_are_messages_too() -> None:
    launch(sign_launch({**LAUNCH, "lti_version": "LTI-1.0"}.items()))
    launch(sign_launch({**LAUNCH, "lti_message_type": "ContentItemSelectionRequest", "resource_link_id": ""}.items()))


def test_people_without_name_and_identity_are_let_in() -> None:
    fields = {
        name: value for name, value in LAUNCH.items() if not name.startswith(("lis_", "user_id", "context", "roles"))
    }
    said = launch(sign_launch(fields.items()))
    assert (said.user_id, said.full_name, said.email, said.role, said.course_title) == ("", "", "", None, "")


@pytest.mark.parametrize("address", ["zoe", "zoe@", "@x.example", "zoe@localhost", "a b@x.example", ""])
def test_what_is_no_address_is_none(address: str) -> None:
    assert launch(sign_launch({**LAUNCH, "lis_person_contact_email_primary": address}.items())).email == ""


def test_an_oauth_value_with_a_percent_sign_is_decoded_once() -> None:
    # oauthlib and authlib decode it once more, and refuse this honest launch.
    callback = "https://x.example/?q=%20"
    fields = [*LAUNCH.items(), ("oauth_callback", callback)]
    launch(
        sign_by_hand([(name, value) for name, value in fields if (name, value) != ("oauth_callback", "about:blank")])
    )


def test_an_unreadable_body_is_no_launch() -> None:
    assert refuse(b"a=%").problem is LaunchProblem.UNREADABLE
    assert refuse(sign_launch(), query=b"x=%zz").problem is LaunchProblem.UNREADABLE
    assert refuse(urlencode({"id_token": "x"}).encode()).problem is LaunchProblem.UNSIGNED


def test_no_refusal_repeats_a_value() -> None:
    for body in (
        change_field(sign_launch(), "user_id", "u-78"),
        sign_launch(secret="guessed"),
        sign_launch(timestamp=1),
    ):
        refused = refuse(body)
        assert "u-7" not in f"{refused} {refused.detail}"
