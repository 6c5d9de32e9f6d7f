"""The messages of an outbox: taken one by one, sent, and settled or put off."""

from __future__ import annotations

import ipaddress
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import assert_never
from urllib.parse import urlsplit

from pydantic import SecretStr

from reconciler import clock
from reconciler.config.fields.secret import SecretReference
from reconciler.config.models.settings import FileMail, Mail, SmtpMail
from reconciler.config.secrets import SecretBackend
from reconciler.model.diagnostic import Diagnostic, Refusal, Severity, Span, error, warning
from reconciler.model.sync import EventKind
from reconciler.notices.attempt import Attempt, Result, next_attempt
from reconciler.notices.mail import PASSWORD_VARIABLE, FileOutbox, Letter, Smtp, SmtpServer
from reconciler.notices.notice import HeldSet, Notice
from reconciler.notices.signing import SIGNING, secret_bytes
from reconciler.notices.webhook import Post, Webhooks
from reconciler.operations.failure import UNEXPECTED, UNFORESEEN, unexpected
from reconciler.operations.notify.subscribers import Listener, listener_of
from reconciler.operations.workspace import Workspace
from reconciler.reports.notice_text import Told, digest_subject, digest_text
from reconciler.reports.plan.wording import moment, named
from reconciler.store.database.connection import Connection
from reconciler.store.sync.notices import NoticeRecord, documents_of, held_now, notices_of, told_of
from reconciler.store.sync.outbox import Channel, Message, put_off, put_off_others, settle, take

# The secret that posts to a webhook are signed with: whether it is set, and of the form that signing needs.


#: Where a customer's document names it.
PATH = "notify.webhook_secret"


def signing_secret(backend: SecretBackend, customer: str, name: str) -> bytes:
    """Raises Refusal: `secret-not-set`, `webhook-secret-form`, or what the backend raises."""
    value = backend.get(customer, name)
    if value is None:
        place = backend.place(customer, name)
        raise Refusal([error("secret-not-set", f"{place} is not set, so no post can be signed", hint=f"set {place}")])
    secret = secret_bytes(value.get_secret_value())
    if secret is None:
        raise Refusal([misshapen(backend, customer, name)])
    return secret


def is_misshapen(path: str, value: SecretStr) -> bool:
    """Whether no post can be signed with it; never so of other secrets. path: dotted, in a customer's document."""
    return path == PATH and secret_bytes(value.get_secret_value()) is None


def misshapen(
    backend: SecretBackend, customer: str, name: str, span: Span | None = None, severity: Severity = Severity.ERROR
) -> Diagnostic:
    return Diagnostic(
        "webhook-secret-form",
        severity,
        f"the secret {name} of {customer} is not base64 of 24 to 64 bytes, so no post can be signed with it",
        span,
        f"`openssl rand -base64 32` makes one; set {backend.place(customer, name)}",
    )


#: What one run delivers at most, and seconds that it takes for it: the next run goes on.
MOST = 500
SECONDS = 60.0
#: How long a process that died keeps what it took from others.
TAKEN_FOR = timedelta(minutes=10)

#: Nobody asks for the message any more.
UNASKED = Attempt(Result.NEVER, "notification-unasked")


@dataclass(slots=True)
class Budget:
    """What is left for one run. ticks: seconds that only go forward."""

    messages: int = MOST
    seconds: float = SECONDS
    ticks: Callable[[], float] = time.monotonic
    _end: float = field(init=False)

    def __post_init__(self) -> None:
        self._end = self.ticks() + self.seconds

    def spend(self) -> bool:
        """Whether one more may be sent."""
        self.messages -= 1
        return self.messages >= 0 and self.ticks() < self._end


@dataclass(frozen=True, slots=True)
class Undelivered:
    """customers: whom the message is about. until: of the next attempt, None where it was given up."""

    channel: Channel
    customers: tuple[str, ...]
    attempt: Attempt
    until: str | None

    def warning(self) -> Diagnostic:
        what = f"{self.channel} of {named(self.customers)}" if self.customers else str(self.channel)
        if self.until is None:
            return warning(
                self.attempt.code,
                f"{what}: {self.attempt.why}; the notification was given up",
                hint="`reconciler history` and `reconciler holds` say what it would have told",
            )
        return warning(
            self.attempt.code,
            f"{what}: {self.attempt.why}; the next attempt is due {moment(self.until)}",
            hint="nothing else depends on it; notify: of the customer, or mail: of reconciler.yaml, says where it goes",
        )


def deliver_posts(workspace: Workspace, connection: Connection, budget: Budget) -> Iterator[Undelivered]:
    """Sends the posts that are due."""
    webhooks = Webhooks(workspace.repository.settings.network.allows, workspace.store.key.bytes_for(SIGNING))
    while (message := _next(connection, Channel.WEBHOOK, budget)) is not None:
        customers = (message.customer,) if message.customer else ()
        try:
            attempt = _posted(workspace, connection, webhooks, message)
        except Refusal:
            raise
        except UNFORESEEN as problem:  # a door: what is wrong with one message must not keep the others back
            attempt = _unforeseen(message, problem)
        yield from _settled(connection, message, attempt, customers, message.address)


def deliver_mail(workspace: Workspace, connection: Connection, budget: Budget) -> Iterator[Undelivered]:
    """Sends the digests that are due."""
    with closing(_outlet(workspace)) as outlet:
        while (message := _next(connection, Channel.MAIL, budget)) is not None:
            customers: tuple[str, ...] = ()
            try:
                letter, customers = _letter(workspace, connection, message)
                attempt = outlet.send(letter) if isinstance(letter, Letter) else letter
            except Refusal:
                raise
            except UNFORESEEN as problem:  # a door, as above
                attempt = _unforeseen(message, problem)
            yield from _settled(connection, message, attempt, customers, None)


def _next(connection: Connection, channel: Channel, budget: Budget) -> Message | None:
    if not budget.spend():
        return None
    now = clock.now()
    return take(connection, channel, now, clock.before(now, -TAKEN_FOR))


def _settled(
    connection: Connection, message: Message, attempt: Attempt, customers: tuple[str, ...], address: str | None
) -> Iterator[Undelivered]:
    """address: whoever else waits for it fares the same where the attempt says so; None: the whole channel."""
    now = clock.now()
    match attempt.result:
        case Result.DELIVERED:
            settle(connection, message, now)
            return
        case Result.NEVER:
            until = None
        case Result.LATER:
            until = next_attempt(now, message.created_at, message.attempts + 1, attempt.wait)
        case _:
            assert_never(attempt.result)
    if until is None:
        settle(connection, message, None, attempt.code)
    else:
        put_off(connection, message, until, attempt.code)
    if attempt.down:
        others = until or next_attempt(now, now, message.attempts + 1)
        assert others is not None
        put_off_others(connection, message.channel, address, now, others, attempt.code)
    if attempt is not UNASKED:
        yield Undelivered(message.channel, customers, attempt, until)


def _posted(workspace: Workspace, connection: Connection, webhooks: Webhooks, message: Message) -> Attempt:
    known = told_of(connection, message.customer) if message.customer else None
    if message.customer is None or known is None or message.body is None:
        return UNASKED
    listener = _listener(message.customer, known[2])
    if isinstance(listener, Attempt):
        return listener
    notify = listener.notify
    if notify.webhook is None:
        return UNASKED
    secret = None
    if notify.webhook_secret is not None:
        found = _secret(workspace, message.customer, notify.webhook_secret)
        if isinstance(found, Attempt):
            return found
        secret = found
    # Where the customer listens now: an address is mostly changed because nothing came through to the old one.
    return webhooks.send(Post(message.message_id, notify.webhook, message.body.encode(), clock.now(), secret))


def _secret(workspace: Workspace, customer: str, named: SecretReference) -> bytes | Attempt:
    try:
        return signing_secret(workspace.secrets, customer, named.secret)
    except Refusal as refusal:
        return Attempt(Result.LATER, refusal.diagnostics[0].code, refusal.diagnostics[0].message)


def _listener(customer: str, document: Mapping[str, object] | None) -> Listener | Attempt:
    try:
        return listener_of(customer, document)
    except Refusal as refusal:
        return Attempt(Result.LATER, refusal.diagnostics[0].code, refusal.diagnostics[0].message)


def _unforeseen(message: Message, problem: BaseException) -> Attempt:
    unexpected(message.customer or "a digest", f"sending a {message.channel} message of", problem)
    return Attempt(Result.LATER, UNEXPECTED, f"unexpected {type(problem).__name__}")


def _letter(workspace: Workspace, connection: Connection, message: Message) -> tuple[Letter | Attempt, tuple[str, ...]]:
    """What came of it at once where there is none: nobody asks for it any more, or nobody knows whether they do. With
    the customers that it tells of."""
    with connection.reading():
        notices = notices_of(connection, message.id)
        documents, held = documents_of(connection, message.id), held_now(connection, message.id)
    listeners = {slug: _listener(slug, document) for slug, document in documents.items()}
    told: list[Told] = []
    unread: dict[str, Attempt] = {}
    for each in notices:
        listener = listeners[each.notice.customer]
        if isinstance(listener, Attempt):
            unread[each.notice.customer] = listener
        elif message.address in listener.notify.email:
            told.append(Told(_today(each, held), each.news))
    if not told:
        return next(iter(unread.values()), UNASKED), tuple(unread)
    letter = Letter(
        message_id=message.message_id,
        domain=f"{workspace.store.uuid}.reconciler",
        written_at=message.created_at,
        to=message.address,
        subject=digest_subject(told),
        text=digest_text(told, workspace.public_url),
    )
    return letter, tuple(dict.fromkeys(each.notice.customer for each in told))


def _today(told: NoticeRecord, held: Mapping[str, tuple[HeldSet, tuple[str, ...]]]) -> Notice:
    """What is held may be another set by now, and only that of today can be approved."""
    notice = told.notice
    if not told.stands or notice.event is not EventKind.HELD or notice.customer not in held:
        return notice
    hold, causes = held[notice.customer]
    return replace(notice, hold=hold, sentences=causes)


def _outlet(workspace: Workspace) -> FileOutbox | Smtp:
    mail: Mail = workspace.repository.settings.environment(workspace.environment)[1].mail
    match mail:
        case FileMail():
            return FileOutbox(Path(mail.path), _own_address(workspace.public_url))
        case SmtpMail():
            return Smtp(
                SmtpServer(
                    host=mail.host,
                    port=mail.port,
                    security=mail.security,
                    sender=mail.sender,
                    username=mail.username,
                    password=os.environ.get(PASSWORD_VARIABLE) or None,
                )
            )
        case _:
            assert_never(mail)


def _own_address(public_url: str) -> str:
    """Whom mail in a folder is from: whoever sends it on knows better."""
    host = urlsplit(public_url).hostname or "localhost"
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return f"reconciler@{host}"
    return "reconciler@localhost"
