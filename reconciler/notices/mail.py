"""Send email in plain text, either as files in a folder or by SMTP."""

import ipaddress
import os
import smtplib
import socket
import ssl
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from email.message import EmailMessage
from email.policy import SMTP as SMTP_LINES
from pathlib import Path
from typing import Literal

from reconciler.model.diagnostic import Refusal
from reconciler.model.ids import Moment
from reconciler.network.certificates import get_ssl_context
from reconciler.notices.attempt import DELIVERED, DeliveryAttempt, DeliveryResult

#: seconds for one step of an SMTP session
SMTP_TIMEOUT = 15.0
PASSWORD_VARIABLE = "RECONCILER_SMTP_PASSWORD"


@dataclass(frozen=True, slots=True)
class MailMessage:
    #: the same for every attempt
    message_id: str
    #: domain of the Message-ID, unique to the store
    domain: str
    #: ISO-8601 UTC
    written_at: Moment
    to: str
    subject: str
    text: str


def build_email_message(mail: MailMessage, sender: str) -> EmailMessage:
    message = EmailMessage()
    message["From"] = sender
    message["To"] = mail.to
    message["Subject"] = " ".join(mail.subject.split())
    message["Date"] = datetime.fromisoformat(mail.written_at)
    message["Message-ID"] = f"<{mail.message_id}@{mail.domain}>"
    # Suppresses out-of-office replies (RFC 3834).
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(mail.text)
    return message


@dataclass(frozen=True, slots=True)
class FileOutbox:
    """Writes each email to an `.eml` file of mode 0600, atomically; the same email again replaces it."""

    folder: Path
    sender: str

    def send(self, mail: MailMessage) -> DeliveryAttempt:
        path = self.folder / f"{mail.written_at[:10]}-{mail.message_id}.eml"
        beside = self.folder / f".{path.name}.{os.getpid()}"
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with suppress(FileNotFoundError):
                beside.unlink()
            with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(build_email_message(mail, self.sender).as_bytes(policy=SMTP_LINES))
                file.flush()
                os.fsync(file.fileno())
            os.replace(beside, path)
        except OSError as problem:
            with suppress(OSError):
                beside.unlink()
            why = f"{self.folder} cannot be written: {problem.strerror}"
            return DeliveryAttempt(DeliveryResult.LATER, "mail-folder", why, is_receiver_down=True)
        return DELIVERED

    def close(self) -> None:
        """Do nothing: no file stays open."""


@dataclass(frozen=True, slots=True)
class SmtpServer:
    host: str
    port: int
    security: Literal["starttls", "tls", "none"]
    sender: str
    #: None to send without signing in
    username: str | None = None
    #: None without a username, or if the variable is not set
    password: str | None = field(default=None, repr=False)


class SmtpOutbox:
    """Sends all emails of a run over one SMTP session. TLS is verified with the system's certificate authorities.

    Once the server is unusable, every later email fails without another attempt, so that a wrong password is tried
    only once."""

    def __init__(self, server: SmtpServer) -> None:
        self._server = server
        self._open: smtplib.SMTP | None = None
        self._down: DeliveryAttempt | None = None

    def send(self, mail: MailMessage) -> DeliveryAttempt:
        if self._down is not None:
            return self._down
        attempt = self._try_send(mail)
        if attempt.is_receiver_down:
            self.close()
            self._down = attempt
        return attempt

    def close(self) -> None:
        if self._open is not None:
            with suppress(smtplib.SMTPException, OSError):
                self._open.quit()
            self._open = None

    def _try_send(self, mail: MailMessage) -> DeliveryAttempt:
        """Try once. Messages never repeat the server's text, because it contains addresses."""
        host = self._server.host
        try:
            if self._open is None:
                self._open = _connect_to_server(self._server)
            return _send_message(self._open, build_email_message(mail, self._server.sender), host)
        except _UnusableServerError as problem:
            return problem.attempt
        except Refusal as refusal:
            return _make_server_down_attempt(refusal.diagnostics[0].code, refusal.diagnostics[0].message)
        except smtplib.SMTPAuthenticationError as problem:
            return _make_server_down_attempt(
                "mail-sign-in-refused", f"{host} rejected the sign-in ({problem.smtp_code})"
            )
        except smtplib.SMTPSenderRefused as problem:
            return _make_server_down_attempt("mail-sender-refused", f"{host} rejected the sender ({problem.smtp_code})")
        except smtplib.SMTPNotSupportedError:
            return _make_server_down_attempt("mail-server-too-plain", f"{host} does not offer STARTTLS or sign-in")
        except ssl.SSLError:
            return _make_server_down_attempt("mail-server-untrusted", f"the certificate of {host} is not trusted")
        except (smtplib.SMTPException, OSError):
            return _make_server_down_attempt(
                "mail-server-unreachable", f"cannot connect to {host} port {self._server.port}"
            )


def _send_message(connection: smtplib.SMTP, message: EmailMessage, host: str) -> DeliveryAttempt:
    try:
        connection.send_message(message)
    except smtplib.SMTPRecipientsRefused as problem:
        code = min(code for code, _ in problem.recipients.values())
        result = DeliveryResult.NEVER if code >= _PERMANENT_FAILURE else DeliveryResult.LATER
        return DeliveryAttempt(result, "mail-address-refused", f"{host} rejected the recipient ({code})")
    except smtplib.SMTPNotSupportedError:
        return DeliveryAttempt(
            DeliveryResult.NEVER, "mail-address-refused", f"{host} does not support non-ASCII addresses"
        )
    except smtplib.SMTPDataError as problem:
        return DeliveryAttempt(DeliveryResult.LATER, "mail-refused", f"{host} rejected the email ({problem.smtp_code})")
    return DELIVERED


#: SMTP reply codes from here on are permanent: another attempt would fail too (RFC 5321, 4.2.1)
_PERMANENT_FAILURE = 500


class _UnusableServerError(Exception):
    def __init__(self, code: str, why: str) -> None:
        super().__init__(code)
        self.attempt = _make_server_down_attempt(code, why)


def _make_server_down_attempt(code: str, why: str) -> DeliveryAttempt:
    return DeliveryAttempt(DeliveryResult.LATER, code, why, is_receiver_down=True)


def _connect_to_server(server: SmtpServer) -> smtplib.SMTP:
    if server.security == "none" and not _is_this_machine(server.host, server.port):
        raise _UnusableServerError(
            "mail-not-private", f"{server.host} is not this machine, so mail.security must not be none"
        )
    if server.username is not None and server.password is None:
        raise _UnusableServerError("smtp-password-not-set", f"{PASSWORD_VARIABLE} is not set")
    if server.security == "tls":
        connection: smtplib.SMTP = smtplib.SMTP_SSL(
            server.host, server.port, timeout=SMTP_TIMEOUT, context=get_ssl_context()
        )
    else:
        connection = smtplib.SMTP(server.host, server.port, timeout=SMTP_TIMEOUT)
    done = False
    try:
        if server.security == "starttls":
            connection.starttls(context=get_ssl_context())
        if server.username is not None and server.password is not None:
            _sign_in(connection, server.username, server.password)
        done = True
    finally:
        if not done:
            connection.close()
    return connection


def _sign_in(connection: smtplib.SMTP, username: str, password: str) -> None:
    """Sign in by one mechanism, because `smtplib.login` tries a wrong password by every mechanism that is offered."""
    connection.ehlo_or_helo_if_needed()
    offered = connection.esmtp_features.get("auth", "").upper().split()
    connection.user, connection.password = username, password
    if "PLAIN" in offered:
        connection.auth("PLAIN", connection.auth_plain)
    elif "LOGIN" in offered:
        connection.auth("LOGIN", connection.auth_login)
    else:
        raise smtplib.SMTPNotSupportedError


def _is_this_machine(host: str, port: int) -> bool:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return all(ipaddress.ip_address(str(each[4][0]).partition("%")[0]).is_loopback for each in found)
