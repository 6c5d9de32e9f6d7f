"""Send the messages of the outbox one by one, and settle or defer each."""

import ipaddress
import logging
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
from reconciler.config.fields import is_web_url
from reconciler.config.models import FileMail, Mail, SecretReference, SmtpMail
from reconciler.config.secrets import SecretBackend
from reconciler.log import log_event
from reconciler.model.diagnostic import Diagnostic, Refusal, build_error, build_warning
from reconciler.model.ids import CustomerId, Moment
from reconciler.model.sync import EventKind
from reconciler.notices.attempt import DeliveryAttempt, DeliveryResult, schedule_next_attempt
from reconciler.notices.mail import PASSWORD_VARIABLE, FileOutbox, MailMessage, SmtpOutbox, SmtpServer
from reconciler.notices.notice import Notice, NoticeHold
from reconciler.notices.signing import WEBHOOK_KEY_PURPOSE, decode_secret
from reconciler.notices.webhook import WebhookPost, WebhookSender
from reconciler.operations.failure import UNEXPECTED_CODE, UNEXPECTED_EXCEPTIONS, report_unexpected_error
from reconciler.operations.notify.subscribers import Listener, parse_listener
from reconciler.operations.workspace import Workspace
from reconciler.reports.notice_text import DigestEntry, format_digest_subject, render_digest_text
from reconciler.reports.plan import format_moment, format_names
from reconciler.store import sync as store_sync
from reconciler.store.database import Connection

_log = logging.getLogger(__name__)

#: paths of the secrets that hold a webhook's URL and sign its posts, in a customer's document
WEBHOOK_PATH = "notify.webhook"
WEBHOOK_SECRET_PATH = "notify.webhook_secret"


def read_signing_secret(backend: SecretBackend, customer: CustomerId, name: str) -> bytes:
    """Return the key that signs a customer's webhooks.

    Raises Refusal: `secret-not-set`, `webhook-secret-form`, or an error of the backend."""
    value = backend.get_secret(customer, name)
    if value is None:
        place = backend.describe_place(customer, name)
        raise Refusal(
            [build_error("secret-not-set", f"{place} is not set, so webhooks cannot be signed", hint=f"Set {place}.")]
        )
    secret = decode_secret(value.get_secret_value())
    if secret is None:
        raise Refusal([_describe_invalid_signing_secret(backend, customer, name)])
    return secret


def read_webhook_url(backend: SecretBackend, customer: CustomerId, webhook: str | SecretReference) -> str:
    """Return the URL of a customer's webhook.

    Raises Refusal: `secret-not-set`, `webhook-url-form`, or an error of the backend."""
    if isinstance(webhook, str):
        return webhook
    value = backend.get_secret(customer, webhook.secret)
    if value is None:
        place = backend.describe_place(customer, webhook.secret)
        raise Refusal(
            [build_error("secret-not-set", f"{place} is not set, so webhooks cannot be sent", hint=f"Set {place}.")]
        )
    if not is_web_url(value.get_secret_value()):
        raise Refusal([_describe_invalid_webhook_url(backend, customer, webhook.secret)])
    return value.get_secret_value()


def describe_invalid_webhook_value(
    backend: SecretBackend, customer: CustomerId, path: str, name: str, value: SecretStr
) -> Diagnostic | None:
    """Return an error if a secret cannot be used as the URL or the signing key of a webhook, else None.

    path: dotted, in the customer's document; secrets at other paths can have any value."""
    if path == WEBHOOK_PATH and not is_web_url(value.get_secret_value()):
        return _describe_invalid_webhook_url(backend, customer, name)
    if path == WEBHOOK_SECRET_PATH and decode_secret(value.get_secret_value()) is None:
        return _describe_invalid_signing_secret(backend, customer, name)
    return None


def _describe_invalid_webhook_url(backend: SecretBackend, customer: CustomerId, name: str) -> Diagnostic:
    return build_error(
        "webhook-url-form",
        f"secret {name} of {customer} is not a complete URL, so webhooks cannot be sent",
        hint=f"Set {backend.describe_place(customer, name)} to the receiver's URL, starting with https://.",
    )


def _describe_invalid_signing_secret(backend: SecretBackend, customer: CustomerId, name: str) -> Diagnostic:
    return build_error(
        "webhook-secret-form",
        f"secret {name} of {customer} is not base64 of 24 to 64 bytes, so webhooks cannot be signed",
        hint=f"Make one with `openssl rand -base64 32`, and set {backend.describe_place(customer, name)}.",
    )


#: Messages and seconds of one run at most; the next run goes on.
MAX_MESSAGES = 500
MAX_SECONDS = 60.0
#: Time after which another process may take the messages of a process that died.
CLAIM_DURATION = timedelta(minutes=10)

#: Result for a message that nobody is subscribed to any more.
NOT_SUBSCRIBED = DeliveryAttempt(DeliveryResult.NEVER, "notification-unasked")


@dataclass(slots=True)
class DeliveryBudget:
    """Messages and seconds that are left for one run."""

    messages: int = MAX_MESSAGES
    seconds: float = MAX_SECONDS
    #: monotonic
    clock_seconds: Callable[[], float] = time.monotonic
    _deadline: float = field(init=False)

    def __post_init__(self) -> None:
        self._deadline = self.clock_seconds() + self.seconds

    def consume_one(self) -> bool:
        """Count one message, and return True if it may be sent."""
        self.messages -= 1
        return self.messages >= 0 and self.clock_seconds() < self._deadline


@dataclass(frozen=True, slots=True)
class DeliveryFailure:
    channel: store_sync.DeliveryChannel
    #: subjects of the message
    customers: tuple[CustomerId, ...]
    attempt: DeliveryAttempt
    #: None if there is no further attempt
    next_at: Moment | None

    def build_warning(self) -> Diagnostic:
        what = f"{self.channel} of {format_names(self.customers)}" if self.customers else str(self.channel)
        if self.next_at is None:
            return build_warning(
                self.attempt.code,
                f"{what} not delivered: {self.attempt.why}; no further attempt",
                hint="Run `reconciler history` and `reconciler holds` to see what it was about.",
            )
        return build_warning(
            self.attempt.code,
            f"{what} not delivered: {self.attempt.why}; next attempt {format_moment(self.next_at)}",
            hint="The sync is not affected. To change the address, edit notify: of the customer or mail: in "
            "reconciler.yaml.",
        )


def deliver_posts(workspace: Workspace, connection: Connection, budget: DeliveryBudget) -> Iterator[DeliveryFailure]:
    """Send the webhooks that are due, and yield each failure."""
    webhooks = WebhookSender(
        workspace.repository.settings.network.is_allowed, workspace.store.key.derive_key(WEBHOOK_KEY_PURPOSE)
    )
    while (message := _take_next_message(connection, store_sync.DeliveryChannel.WEBHOOK, budget)) is not None:
        customers = (message.customer,) if message.customer else ()
        try:
            attempt = _post_message(workspace, connection, webhooks, message)
        except Refusal:
            raise
        except UNEXPECTED_EXCEPTIONS as problem:  # one message's defect must not keep the others back
            attempt = _report_unexpected(message, problem)
        yield from _settle_message(connection, message, attempt, customers, message.address)


def deliver_mail(workspace: Workspace, connection: Connection, budget: DeliveryBudget) -> Iterator[DeliveryFailure]:
    """Send the digests that are due, and yield each failure."""
    with closing(_open_mail_outlet(workspace)) as outlet:
        while (message := _take_next_message(connection, store_sync.DeliveryChannel.MAIL, budget)) is not None:
            customers: tuple[CustomerId, ...] = ()
            try:
                letter, customers = _compose_letter(workspace, connection, message)
                attempt = outlet.send(letter) if isinstance(letter, MailMessage) else letter
            except Refusal:
                raise
            except UNEXPECTED_EXCEPTIONS as problem:  # as above
                attempt = _report_unexpected(message, problem)
            yield from _settle_message(connection, message, attempt, customers, None)


def _take_next_message(
    connection: Connection, channel: store_sync.DeliveryChannel, budget: DeliveryBudget
) -> store_sync.OutboxMessage | None:
    if not budget.consume_one():
        return None
    now = clock.get_current_moment()
    return store_sync.take_next_message(connection, channel, now, clock.subtract_span(now, -CLAIM_DURATION))


def _settle_message(
    connection: Connection,
    message: store_sync.OutboxMessage,
    attempt: DeliveryAttempt,
    customers: tuple[CustomerId, ...],
    address: str | None,
) -> Iterator[DeliveryFailure]:
    """Settle or defer a message after an attempt, and yield its failure.

    address: if the receiver is down, its other messages are deferred too; None for all of the channel."""
    log_event(
        _log,
        "deliver",
        channel=message.channel,
        customers=",".join(customers) or None,
        result=attempt.result,
        attempt=message.attempts + 1,
        why=attempt.code or None,
    )
    now = clock.get_current_moment()
    match attempt.result:
        case DeliveryResult.DELIVERED:
            store_sync.settle_message(connection, message, now)
            return
        case DeliveryResult.NEVER:
            until = None
        case DeliveryResult.LATER:
            until = schedule_next_attempt(now, message.created_at, message.attempts + 1, attempt.wait)
        case _:
            assert_never(attempt.result)
    if until is None:
        store_sync.settle_message(connection, message, None, attempt.code)
    else:
        store_sync.defer_message(connection, message, until, attempt.code)
    if attempt.is_receiver_down:
        others = until or schedule_next_attempt(now, now, message.attempts + 1)
        assert others is not None
        store_sync.defer_due_messages(connection, message.channel, address, now, others, attempt.code)
    if attempt is not NOT_SUBSCRIBED:
        yield DeliveryFailure(message.channel, customers, attempt, until)


def _post_message(
    workspace: Workspace, connection: Connection, webhooks: WebhookSender, message: store_sync.OutboxMessage
) -> DeliveryAttempt:
    known = store_sync.find_live_customer(connection, message.customer) if message.customer else None
    if message.customer is None or known is None or message.body is None:
        return NOT_SUBSCRIBED
    listener = _try_parse_listener(message.customer, known[2])
    if isinstance(listener, DeliveryAttempt):
        return listener
    notify = listener.notify
    if notify.webhook is None:
        return NOT_SUBSCRIBED
    try:
        secret = None
        if notify.webhook_secret is not None:
            secret = read_signing_secret(workspace.secrets, message.customer, notify.webhook_secret.secret)
        # Sent to the customer's current address: most changes replace one that did not work.
        url = read_webhook_url(workspace.secrets, message.customer, notify.webhook)
    except Refusal as refusal:
        return DeliveryAttempt(DeliveryResult.LATER, refusal.diagnostics[0].code, refusal.diagnostics[0].message)
    return webhooks.send(
        WebhookPost(message.message_id, url, message.body.encode(), clock.get_current_moment(), secret)
    )


def _try_parse_listener(customer: CustomerId, document: Mapping[str, object] | None) -> Listener | DeliveryAttempt:
    try:
        return parse_listener(customer, document)
    except Refusal as refusal:
        return DeliveryAttempt(DeliveryResult.LATER, refusal.diagnostics[0].code, refusal.diagnostics[0].message)


def _report_unexpected(message: store_sync.OutboxMessage, problem: BaseException) -> DeliveryAttempt:
    report_unexpected_error(message.customer or "a digest", f"sending a {message.channel} message about", problem)
    return DeliveryAttempt(DeliveryResult.LATER, UNEXPECTED_CODE, f"unexpected {type(problem).__name__}")


def _compose_letter(
    workspace: Workspace, connection: Connection, message: store_sync.OutboxMessage
) -> tuple[MailMessage | DeliveryAttempt, tuple[CustomerId, ...]]:
    """Return the mail and its customers, or an attempt if nobody is subscribed or the subscriptions are unreadable."""
    with connection.open_read_transaction():
        notices = store_sync.list_message_notices(connection, message.id)
        documents, held = (
            store_sync.read_message_documents(connection, message.id),
            store_sync.read_current_holds(connection, message.id),
        )
    listeners = {slug: _try_parse_listener(slug, document) for slug, document in documents.items()}
    entries: list[DigestEntry] = []
    unreadable: dict[CustomerId, DeliveryAttempt] = {}
    for each in notices:
        listener = listeners[each.notice.customer]
        if isinstance(listener, DeliveryAttempt):
            unreadable[each.notice.customer] = listener
        elif message.address in listener.notify.email:
            entries.append(DigestEntry(_refresh_notice(each, held), each.is_news))
    if not entries:
        return next(iter(unreadable.values()), NOT_SUBSCRIBED), tuple(unreadable)
    letter = MailMessage(
        message_id=message.message_id,
        domain=f"{workspace.store.uuid}.reconciler",
        written_at=message.created_at,
        to=message.address,
        subject=format_digest_subject(entries),
        text=render_digest_text(entries, workspace.public_url),
    )
    return letter, tuple(dict.fromkeys(each.notice.customer for each in entries))


def _refresh_notice(
    record: store_sync.NoticeRecord, holds_by_customer: Mapping[CustomerId, tuple[NoticeHold, tuple[str, ...]]]
) -> Notice:
    """Return the notice with the current hold, since only that one can be approved."""
    notice = record.notice
    if not record.is_open or notice.event is not EventKind.HELD or notice.customer not in holds_by_customer:
        return notice
    hold, causes = holds_by_customer[notice.customer]
    return replace(notice, hold=hold, sentences=causes)


def _open_mail_outlet(workspace: Workspace) -> FileOutbox | SmtpOutbox:
    mail: Mail = workspace.mail
    match mail:
        case FileMail():
            return FileOutbox(Path(mail.path), _build_sender_address(workspace.public_url))
        case SmtpMail():
            return SmtpOutbox(
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


def _build_sender_address(public_url: str) -> str:
    """Return the sender of mail that is written into a folder."""
    host = urlsplit(public_url).hostname or "localhost"
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return f"reconciler@{host}"
    return "reconciler@localhost"
