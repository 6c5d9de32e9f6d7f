"""Posting to a webhook: the body, and one attempt to deliver it.

Redirects are not followed, what is answered is not read, and an address of a private network is reached only where
reconciler.yaml allows it (`network.http`). Nothing of an address but its host is ever repeated: its path and query may
hold what only the receiver is to know.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from urllib.parse import urlsplit

import httpx
import orjson

from reconciler.model.diagnostic import Refusal
from reconciler.network.http import create_http_client
from reconciler.network.lines import ConnectionGroup
from reconciler.network.reach import HostFilter
from reconciler.notices.attempt import DELIVERED, DeliveryAttempt, DeliveryResult
from reconciler.notices.notice import Notice
from reconciler.notices.signing import build_signature_headers

FORMAT_VERSION = "1.0"
#: Seconds for each step.
TIMEOUTS = httpx.Timeout(connect=5.0, read=10.0, write=5.0, pool=5.0)
#: Seconds for the whole of one attempt: a receiver that sends a byte now and then keeps nobody waiting.
ATTEMPT_DEADLINE = 20.0

GONE_STATUS = 410
#: Answers that say more of the receiver than of the message.
BUSY_STATUSES = frozenset({429, 502, 503, 504})


def build_webhook_body(notice: Notice, message_id: str, public_url: str) -> bytes:
    """JSON in UTF-8; docs/how-to/notifications.md says what is in it."""
    hold = notice.hold
    return orjson.dumps(
        {
            "format_version": FORMAT_VERSION,
            "id": message_id,
            "type": f"sync.{notice.event}",
            "customer": notice.customer,
            "name": notice.name,
            "at": notice.at,
            "since": notice.since,
            "sentences": list(notice.sentences),
            "hold": {"id": hold.id, "people": hold.people} if hold else None,
            "see": {"command": notice.command, "url": public_url},
        }
    )


@dataclass(frozen=True, slots=True)
class WebhookPost:
    """sent_at: the moment of this attempt, ISO-8601 UTC. secret: what both sides know, None where nothing."""

    message_id: str
    url: str = field(repr=False)
    body: bytes
    sent_at: str
    secret: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class WebhookSender:
    """seed: of the store's key that every post is signed with. deadline: seconds for one attempt."""

    allows: HostFilter = field(repr=False)
    seed: bytes = field(repr=False)
    deadline: float = ATTEMPT_DEADLINE
    timeouts: httpx.Timeout = field(default_factory=lambda: TIMEOUTS)

    def send(self, post: WebhookPost) -> DeliveryAttempt:
        host = urlsplit(post.url).hostname or ""
        timestamp = int(datetime.fromisoformat(post.sent_at).timestamp())
        headers = {
            "content-type": "application/json",
            **build_signature_headers(post.message_id, timestamp, post.body, self.seed, post.secret),
        }
        lines = ConnectionGroup()
        lines.cut_after(self.deadline)
        with create_http_client(self.allows, self.timeouts, lines) as client:
            try:
                with client.stream("POST", post.url, content=post.body, headers=headers) as answer:
                    return _judge_response(answer, host)
            except Refusal as refusal:
                found = refusal.diagnostics[0]
                return DeliveryAttempt(DeliveryResult.LATER, found.code, found.message, is_receiver_down=True)
            except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as problem:
                return _make_no_answer_attempt(host, problem, late=lines.are_cut)


def _judge_response(answer: httpx.Response, host: str) -> DeliveryAttempt:
    status = answer.status_code
    if answer.is_success:
        return DELIVERED
    if status == GONE_STATUS:
        return DeliveryAttempt(
            DeliveryResult.NEVER, "webhook-gone", f"{host} says that nobody listens there any more (410)"
        )
    if answer.is_redirect:
        return DeliveryAttempt(
            DeliveryResult.LATER, "webhook-redirects", f"{host} sends us elsewhere ({status}), which is not followed"
        )
    return DeliveryAttempt(
        DeliveryResult.LATER,
        "webhook-refused",
        f"{host} answered {status}",
        is_receiver_down=status in BUSY_STATUSES,
        wait=_parse_retry_after(answer),
    )


def _parse_retry_after(answer: httpx.Response) -> timedelta:
    """Retry-After in seconds (RFC 9110, 10.2.3); a day there says little and is left alone."""
    said = re.fullmatch(r"\s*(\d{1,6})\s*", answer.headers.get("retry-after", ""))
    return timedelta(seconds=int(said[1])) if said else timedelta()


def _make_no_answer_attempt(host: str, problem: Exception, *, late: bool) -> DeliveryAttempt:
    if late or isinstance(problem, httpx.TimeoutException):
        return DeliveryAttempt(
            DeliveryResult.LATER, "webhook-timeout", f"{host} did not answer in time", is_receiver_down=True
        )
    return DeliveryAttempt(
        DeliveryResult.LATER, "webhook-unreachable", f"the connection to {host} broke", is_receiver_down=True
    )
