"""Launches signed by oauthlib, which knows nothing of the code that checks them."""

from __future__ import annotations

import hashlib
import hmac
from base64 import b64encode
from collections.abc import Iterable
from urllib.parse import parse_qsl, quote, urlencode

from oauthlib.oauth1 import SIGNATURE_HMAC_SHA1, SIGNATURE_TYPE_BODY, Client

URL = "https://read.example/lti/launch"
KEY, SECRET = "lms-1", "a secret of some length"
#: 2026-09-01T12:00:00Z
NOW = 1_788_264_000
LAUNCH = {
    "lti_message_type": "basic-lti-launch-request",
    "lti_version": "LTI-1p0",
    "resource_link_id": "link-1",
    "user_id": "u-77",
    "roles": "Learner",
    "lis_person_name_full": "Zoë Ńowak",
    "lis_person_contact_email_primary": "zoe@school.example",
    "context_id": "c-1",
    "context_title": "Biology 7 & friends",
    "oauth_callback": "about:blank",
}


def sign_launch(
    fields: Iterable[tuple[str, str]] = tuple(LAUNCH.items()),
    *,
    url: str = URL,
    key: str = KEY,
    secret: str = SECRET,
    timestamp: int | str = NOW,
    nonce: str = "n-1",
    method: str = SIGNATURE_HMAC_SHA1,
) -> bytes:
    """Return the body of a launch, signed for the URL with its query."""
    client = Client(
        key,
        client_secret=secret,
        signature_method=method,
        signature_type=SIGNATURE_TYPE_BODY,
        timestamp=str(timestamp),
        nonce=nonce,
    )
    _, _, body = client.sign(
        url,
        http_method="POST",
        body=urlencode(list(fields)),
        headers={"Content-Type": "application/x-www-form-urlencoded"},
    )
    return body.encode() if isinstance(body, str) else body


def sign_by_hand(fields: Iterable[tuple[str, str]], *, url: str = URL, nonce: str = "n-1") -> bytes:
    """Return the body of a launch that is signed step by step as RFC 5849 says; oauthlib decodes some values twice."""
    oauth = {
        "oauth_consumer_key": KEY,
        "oauth_nonce": nonce,
        "oauth_signature_method": "HMAC-SHA1",
        "oauth_timestamp": str(NOW),
        "oauth_version": "1.0",
    }
    signed = [*fields, *oauth.items()]
    pairs = sorted((quote(name, safe=""), quote(value, safe="")) for name, value in signed)
    text = "&".join(f"{name}={value}" for name, value in pairs)
    base = f"POST&{quote(url, safe='')}&{quote(text, safe='')}"
    digest = hmac.new(f"{quote(SECRET, safe='')}&".encode(), base.encode(), hashlib.sha1).digest()
    return urlencode([*signed, ("oauth_signature", b64encode(digest).decode())]).encode()


def change_field(body: bytes, name: str, value: str | None) -> bytes:
    """Return the body with another value of a field, or without the field, and with the former signature."""
    fields = [(each, old) for each, old in parse_qsl(body.decode(), keep_blank_values=True) if each != name]
    return urlencode([*fields, (name, value)] if value is not None else fields).encode()
