"""Post to a webhook: build the body, and make one attempt to deliver it.

Redirects are not followed, the response body is not read, and an address in a private network is reached only if
reconciler.yaml allows it (`network.http`). Messages name only the host of a URL: its path and query may contain secrets
of the receiver.
"""

import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from urllib.parse import urlsplit

import httpx
import orjson

from reconciler.model.diagnostic import Refusal
from reconciler.model.ids import Moment
from reconciler.network.http import create_http_client
from reconciler.network.lines import ConnectionGroup
from reconciler.network.reach import HostFilter
from reconciler.notices.attempt import DELIVERED, DeliveryAttempt, DeliveryResult
from reconciler.notices.notice import Notice
from reconciler.notices.signing import build_signature_headers

FORMAT_VERSION = "1.0"
#: seconds for each step
TIMEOUTS = httpx.Timeout(connect=5.0, read=10.0, write=5.0, pool=5.0)
#: seconds for a whole attempt, so that a receiver that sends a byte now and then cannot hold it up
ATTEMPT_DEADLINE = 20.0

GONE_STATUS = 410
#: statuses that mean a receiver in trouble, not a bad message
BUSY_STATUSES = frozenset({429, 502, 503, 504})


def build_webhook_body(notice: Notice, message_id: str, public_url: str) -> bytes:
    """Return the body, JSON in UTF-8, as docs/how-to/notifications.md describes it."""
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
    message_id: str
    url: str = field(repr=False)
    body: bytes
    #: time of this attempt, ISO-8601 UTC
    sent_at: Moment
    #: shared secret; None without one
    secret: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class WebhookSender:
    allows: HostFilter = field(repr=False)
    #: of the store's key, which signs every post; 32 bytes
    seed: bytes = field(repr=False)
    #: seconds for one attempt
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
        return DeliveryAttempt(DeliveryResult.NEVER, "webhook-gone", f"{host} says this webhook is gone (410)")
    if answer.is_redirect:
        return DeliveryAttempt(
            DeliveryResult.LATER,
            "webhook-redirects",
            f"{host} redirected the request ({status}); redirects are not followed",
        )
    return DeliveryAttempt(
        DeliveryResult.LATER,
        "webhook-refused",
        f"{host} answered {status}",
        is_receiver_down=status in BUSY_STATUSES,
        wait=_parse_retry_after(answer),
    )


def _parse_retry_after(answer: httpx.Response) -> timedelta:
    """Return Retry-After if it is in seconds (RFC 9110, 10.2.3); a date is ignored."""
    seconds = re.fullmatch(r"\s*(\d{1,6})\s*", answer.headers.get("retry-after", ""))
    return timedelta(seconds=int(seconds[1])) if seconds else timedelta()


def _make_no_answer_attempt(host: str, problem: Exception, *, late: bool) -> DeliveryAttempt:
    if late or isinstance(problem, httpx.TimeoutException):
        return DeliveryAttempt(
            DeliveryResult.LATER, "webhook-timeout", f"{host} did not answer in time", is_receiver_down=True
        )
    return DeliveryAttempt(
        DeliveryResult.LATER, "webhook-unreachable", f"the connection to {host} failed", is_receiver_down=True
    )
