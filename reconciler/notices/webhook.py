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
from reconciler.network.http import http_client
from reconciler.network.lines import Lines
from reconciler.network.reach import Allows
from reconciler.notices.attempt import DELIVERED, Attempt, Result
from reconciler.notices.notice import Notice
from reconciler.notices.signing import signed_headers

FORMAT_VERSION = "1.0"
#: Seconds for each step.
TIMEOUTS = httpx.Timeout(connect=5.0, read=10.0, write=5.0, pool=5.0)
#: Seconds for the whole of one attempt: a receiver that sends a byte now and then keeps nobody waiting.
DEADLINE = 20.0

GONE = 410
#: Answers that say more of the receiver than of the message.
BUSY = frozenset({429, 502, 503, 504})


def body_of(notice: Notice, message_id: str, public_url: str) -> bytes:
    """JSON in UTF-8; docs/notifications.md says what is in it."""
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
class Post:
    """sent_at: the moment of this attempt, ISO-8601 UTC. secret: what both sides know, None where nothing."""

    message_id: str
    url: str = field(repr=False)
    body: bytes
    sent_at: str
    secret: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Webhooks:
    """seed: of the store's key that every post is signed with. deadline: seconds for one attempt."""

    allows: Allows = field(repr=False)
    seed: bytes = field(repr=False)
    deadline: float = DEADLINE
    timeouts: httpx.Timeout = field(default_factory=lambda: TIMEOUTS)

    def send(self, post: Post) -> Attempt:
        host = urlsplit(post.url).hostname or ""
        timestamp = int(datetime.fromisoformat(post.sent_at).timestamp())
        headers = {
            "content-type": "application/json",
            **signed_headers(post.message_id, timestamp, post.body, self.seed, post.secret),
        }
        lines = Lines()
        lines.cut_after(self.deadline)
        with http_client(self.allows, self.timeouts, lines) as client:
            try:
                with client.stream("POST", post.url, content=post.body, headers=headers) as answer:
                    return _judged(answer, host)
            except Refusal as refusal:
                found = refusal.diagnostics[0]
                return Attempt(Result.LATER, found.code, found.message, down=True)
            except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as problem:
                return _unanswered(host, problem, late=lines.are_cut)


def _judged(answer: httpx.Response, host: str) -> Attempt:
    status = answer.status_code
    if answer.is_success:
        return DELIVERED
    if status == GONE:
        return Attempt(Result.NEVER, "webhook-gone", f"{host} says that nobody listens there any more (410)")
    if answer.is_redirect:
        return Attempt(
            Result.LATER, "webhook-redirects", f"{host} sends us elsewhere ({status}), which is not followed"
        )
    return Attempt(
        Result.LATER, "webhook-refused", f"{host} answered {status}", down=status in BUSY, wait=_asked_to_wait(answer)
    )


def _asked_to_wait(answer: httpx.Response) -> timedelta:
    """Retry-After in seconds (RFC 9110, 10.2.3); a day there says little and is left alone."""
    said = re.fullmatch(r"\s*(\d{1,6})\s*", answer.headers.get("retry-after", ""))
    return timedelta(seconds=int(said[1])) if said else timedelta()


def _unanswered(host: str, problem: Exception, *, late: bool) -> Attempt:
    if late or isinstance(problem, httpx.TimeoutException):
        return Attempt(Result.LATER, "webhook-timeout", f"{host} did not answer in time", down=True)
    return Attempt(Result.LATER, "webhook-unreachable", f"the connection to {host} broke", down=True)
