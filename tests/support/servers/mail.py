"""Runs a real SMTP server on a loopback port, with STARTTLS or TLS."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any

import trustme
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword

USER, PASSWORD = "mailer", "correct horse"


@dataclass
class MailServer:
    """With STARTTLS or TLS, nothing is taken without it. refusals: by the recipient's address, the answer to RCPT.
    data: the answer to what is sent."""

    port: int = 0
    mails: list[EmailMessage] = field(default_factory=list)
    recipients: list[str] = field(default_factory=list)
    refusals: dict[str, str] = field(default_factory=dict)
    data: str = "250 OK"
    sign_ins: list[str] = field(default_factory=list)

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:  # noqa: N802
        if address in self.refusals:
            return self.refusals[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        if self.data.startswith("250"):
            message = message_from_bytes(envelope.content, policy=default)
            assert isinstance(message, EmailMessage)
            self.mails.append(message)
            self.recipients += envelope.rcpt_tos
        return self.data

    def authenticate(self, server: Any, session: Any, envelope: Any, mechanism: str, given: Any) -> AuthResult:
        assert isinstance(given, LoginPassword)
        self.sign_ins.append(given.login.decode())
        return AuthResult(
            success=(given.login, given.password) == (USER.encode(), PASSWORD.encode()),
            handled=False,
        )


class _OnAnyPort(Controller):
    """aiosmtpd looks whether it is there by the port that it was told, which is 0."""

    def _trigger_server(self) -> None:
        assert self.server is not None
        socket.create_connection(self.server.sockets[0].getsockname(), 5).close()


@contextmanager
def mail_server(
    folder: Path, *, host: str = "127.0.0.1", security: str = "starttls", sign_in: bool = False
) -> Iterator[MailServer]:
    """Its authority's certificate is `folder/authority.pem`."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "authority.pem")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(host).configure_cert(context)
    server = MailServer()
    options: dict[str, Any] = {"hostname": "127.0.0.1", "port": 0, "server_hostname": "mail.example"}
    if security == "tls":
        options["ssl_context"] = context
    if security == "starttls":
        options |= {"tls_context": context, "require_starttls": True}
    if sign_in:
        options |= {
            "auth_required": True,
            "authenticator": server.authenticate,
            "auth_require_tls": security == "starttls",
        }
    controller = _OnAnyPort(server, **options)
    controller.start()
    try:
        assert controller.server is not None
        server.port = controller.server.sockets[0].getsockname()[1]
        yield server
    finally:
        controller.stop(no_assert=True)
