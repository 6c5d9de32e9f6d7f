"""Mail in plain text, and the two ways it leaves: as files in a folder, or by SMTP."""

from __future__ import annotations

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
from reconciler.network.certificates import get_ssl_context
from reconciler.notices.attempt import DELIVERED, DeliveryAttempt, DeliveryResult

#: Seconds for one step of the conversation with an SMTP server.
SMTP_TIMEOUT = 15.0
PASSWORD_VARIABLE = "RECONCILER_SMTP_PASSWORD"


@dataclass(frozen=True, slots=True)
class MailMessage:
    """message_id: the same for every attempt. written_at: ISO-8601 UTC. domain: of the Message-ID, a name of the
    store's own."""

    message_id: str
    domain: str
    written_at: str
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
    # No answer of an absent person is wanted (RFC 3834).
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(mail.text)
    return message


@dataclass(frozen=True, slots=True)
class FileOutbox:
    """One `.eml` for each mail, of mode 0600, there whole or not at all; the same mail again replaces it."""

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
        """Nothing stays open."""


@dataclass(frozen=True, slots=True)
class SmtpServer:
    """password: None where nobody signs in, or where it is not set."""

    host: str
    port: int
    security: Literal["starttls", "tls", "none"]
    sender: str
    username: str | None = None
    password: str | None = field(default=None, repr=False)


class SmtpOutbox:
    """One conversation for all mails of a run, begun with the first. TLS is verified by the system's authorities.

    Once the server cannot be used, every further mail is told so without another attempt: a wrong password is tried
    once."""

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
        """No answer's own text is repeated: it holds addresses."""
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
                "mail-sign-in-refused", f"{host} does not let us sign in ({problem.smtp_code})"
            )
        except smtplib.SMTPSenderRefused as problem:
            return _make_server_down_attempt(
                "mail-sender-refused", f"{host} takes no mail from us ({problem.smtp_code})"
            )
        except smtplib.SMTPNotSupportedError:
            return _make_server_down_attempt("mail-server-too-plain", f"{host} offers no STARTTLS, or no sign-in")
        except ssl.SSLError:
            return _make_server_down_attempt("mail-server-untrusted", f"the certificate of {host} cannot be trusted")
        except (smtplib.SMTPException, OSError):
            return _make_server_down_attempt(
                "mail-server-unreachable", f"no conversation with {host} port {self._server.port}"
            )


def _send_message(connection: smtplib.SMTP, message: EmailMessage, host: str) -> DeliveryAttempt:
    try:
        connection.send_message(message)
    except smtplib.SMTPRecipientsRefused as problem:
        code = min(code for code, _ in problem.recipients.values())
        result = DeliveryResult.NEVER if code >= _PERMANENT_FAILURE else DeliveryResult.LATER
        return DeliveryAttempt(result, "mail-address-refused", f"{host} takes no mail to this address ({code})")
    except smtplib.SMTPNotSupportedError:
        return DeliveryAttempt(
            DeliveryResult.NEVER, "mail-address-refused", f"{host} takes no address with such letters"
        )
    except smtplib.SMTPDataError as problem:
        return DeliveryAttempt(DeliveryResult.LATER, "mail-refused", f"{host} refused the mail ({problem.smtp_code})")
    return DELIVERED


#: SMTP's answers from here on mean that another attempt would get the same one (RFC 5321, 4.2.1).
_PERMANENT_FAILURE = 500


class _UnusableServerError(Exception):
    def __init__(self, code: str, why: str) -> None:
        super().__init__(code)
        self.attempt = _make_server_down_attempt(code, why)


def _make_server_down_attempt(code: str, why: str) -> DeliveryAttempt:
    return DeliveryAttempt(DeliveryResult.LATER, code, why, is_receiver_down=True)


def _connect_to_server(server: SmtpServer) -> smtplib.SMTP:
    if server.security == "none" and not _is_this_machine(server.host, server.port):
        raise _UnusableServerError("mail-not-private", f"{server.host} is another machine, and mail: security: is none")
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
    """By one mechanism: `smtplib`'s own sign-in tries a wrong password by every one that the server offers."""
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
