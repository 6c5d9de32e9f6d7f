"""Posts to a webhook: what is sent, how it is signed, and what is made of every answer."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import httpx
import pytest
import standardwebhooks

from reconciler.config.models.settings import Network
from reconciler.model.sync import EventKind
from reconciler.notices.attempt import DELIVERED, DeliveryResult
from reconciler.notices.notice import Notice, NoticeHold
from reconciler.notices.signing import build_signature_headers, decode_secret, derive_public_key
from reconciler.notices.webhook import WebhookPost, WebhookSender, build_webhook_body
from tests.support.servers.webhook_receiver import Receiver, receiving

SEED = bytes(range(32))
SECRET = b"0123456789abcdef0123456789abcdef"
LOOPBACK = Network(allow=("127.0.0.1",)).is_allowed
NOTICE = Notice(
    EventKind.HELD,
    "springfield",
    "2026-11-23T02:31:00Z",
    "2026-11-23T02:30:00Z",
    ("Lincoln Elementary (s-7) would lose everyone: 12 of 12.",),
    NoticeHold("springfield:12:7f3a9c", 12),
    "Springfield District",
)
BODY = build_webhook_body(NOTICE, "msg_1", "https://read.example")


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as made:
        yield made


def post(url: str, *, secret: bytes | None = None, at: str | None = None) -> WebhookPost:
    return WebhookPost("msg_1", url, BODY, at or f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}", secret)


def test_body_says_what_happened_since_when_and_where(receiver: Receiver) -> None:
    assert WebhookSender(LOOPBACK, SEED).send(post(receiver.url)) == DELIVERED
    [got] = receiver.received
    assert got.headers["content-type"] == "application/json"
    assert got.json == {
        "format_version": "1.0",
        "id": "msg_1",
        "type": "sync.held",
        "customer": "springfield",
        "name": "Springfield District",
        "at": "2026-11-23T02:31:00Z",
        "since": "2026-11-23T02:30:00Z",
        "sentences": ["Lincoln Elementary (s-7) would lose everyone: 12 of 12."],
        "hold": {"id": "springfield:12:7f3a9c", "people": 12},
        "see": {"command": "reconciler holds", "url": "https://read.example"},
    }


def test_both_signatures_are_verified_by_others_code(receiver: Receiver) -> None:
    WebhookSender(LOOPBACK, SEED).send(post(receiver.url, secret=SECRET))
    [got] = receiver.received
    shared = "whsec_" + base64.b64encode(SECRET).decode()
    assert standardwebhooks.Webhook(shared).verify(got.body, dict(got.headers)) == got.json
    got.verify_v1a(derive_public_key(SEED))
    other = standardwebhooks.Webhook(base64.b64encode(SECRET[::-1]).decode())
    with pytest.raises(standardwebhooks.webhooks.WebhookVerificationError):
        other.verify(got.body, dict(got.headers))


def test_without_a_shared_secret_only_the_store_key_signs(receiver: Receiver) -> None:
    WebhookSender(LOOPBACK, SEED).send(post(receiver.url, at="2026-11-23T07:00:00Z"))
    [got] = receiver.received
    assert set(got.signatures()) == {"v1a"}
    assert got.headers["webhook-timestamp"] == str(int(datetime(2026, 11, 23, 7, tzinfo=UTC).timestamp()))
    got.verify_v1a(derive_public_key(SEED))


def test_the_signature_of_the_specifications_own_example() -> None:
    """As the examples of Standard Webhooks' repository have it."""
    secret = decode_secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    headers = build_signature_headers("msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}', SEED, secret)
    assert headers["webhook-signature"].split(" ")[0] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize("text", ["hunter2", "", "whsec_", "whsec_!!!!", base64.b64encode(b"x" * 65).decode()])
def test_secret_unreadable_by_receiver_libraries_is_rejected(text: str) -> None:
    assert decode_secret(text) is None


@pytest.mark.parametrize(("status", "result"), [(200, "delivered"), (202, "delivered"), (410, "never")])
def test_2xx_is_delivered_and_410_gives_up(receiver: Receiver, status: int, result: str) -> None:
    receiver.answers_with(status)
    assert WebhookSender(LOOPBACK, SEED).send(post(receiver.url)).result == result


@pytest.mark.parametrize(("status", "down"), [(400, False), (404, False), (500, False), (429, True), (503, True)])
def test_any_other_answer_is_tried_again(receiver: Receiver, status: int, down: bool) -> None:
    receiver.answers_with(status, retry_after="7200")
    attempt = WebhookSender(LOOPBACK, SEED).send(post(f"{receiver.url}?token=s3cret"))
    assert (attempt.result, attempt.code, attempt.is_receiver_down) == (DeliveryResult.LATER, "webhook-refused", down)
    assert attempt.wait == timedelta(hours=2)
    assert attempt.why == f"127.0.0.1 answered {status}"


def test_a_redirect_is_not_followed(receiver: Receiver) -> None:
    with receiving() as elsewhere:
        receiver.answers_with(302, location=elsewhere.url)
        attempt = WebhookSender(LOOPBACK, SEED).send(post(receiver.url))
    assert (attempt.result, attempt.code) == (DeliveryResult.LATER, "webhook-redirects")
    assert elsewhere.received == []
    assert len(receiver.received) == 1


@pytest.mark.parametrize("fault", ["hang", "drip"])
def test_who_keeps_us_waiting_is_left_after_a_while(receiver: Receiver, fault: str) -> None:
    setattr(receiver, fault, True)
    impatient = WebhookSender(LOOPBACK, SEED, deadline=0.3, timeouts=httpx.Timeout(0.2))
    attempt = impatient.send(post(f"{receiver.url}?token=s3cret"))
    assert (attempt.result, attempt.code, attempt.is_receiver_down) == (DeliveryResult.LATER, "webhook-timeout", True)
    assert attempt.why == "127.0.0.1 did not answer in time"


def test_private_address_needs_permission(receiver: Receiver) -> None:
    nowhere = Network().is_allowed
    for url in (receiver.url, receiver.url.replace("http:", "https:")):
        attempt = WebhookSender(nowhere, SEED).send(post(f"{url}?token=s3cret"))
        assert (attempt.result, attempt.is_receiver_down) == (DeliveryResult.LATER, True)
        assert attempt.code in ("plain-http", "private-host")
        assert "s3cret" not in attempt.why
        assert "/hook" not in attempt.why
    assert receiver.received == []


def test_nobody_listening_is_unreachable(receiver: Receiver) -> None:
    with receiving() as gone:
        url = gone.url
    attempt = WebhookSender(LOOPBACK, SEED).send(post(f"{url}?token=s3cret"))
    assert (attempt.result, attempt.code, attempt.is_receiver_down) == (DeliveryResult.LATER, "host-unreachable", True)
    assert "s3cret" not in attempt.why
