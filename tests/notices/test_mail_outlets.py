"""Mail leaves as a file, or by an SMTP server that is what it says it is."""

from __future__ import annotations

import os
import stat
from email import message_from_bytes
from email.policy import default
from pathlib import Path

import pytest

from reconciler.notices.attempt import DELIVERED, DeliveryResult
from reconciler.notices.mail import FileOutbox, MailMessage, SmtpOutbox, SmtpServer, build_email_message
from tests.support.servers.mail import PASSWORD, USER, MailServer, mail_server

LETTER = MailMessage(
    "msg_1",
    "0000.reconciler",
    "2026-11-23T07:00:00Z",
    "ops@springfield.example",
    "Springfield: roster held",
    "Zwölf warten.\n",
)
SENDER = "rosters@read.example"


def letter(number: int, to: str = LETTER.to) -> MailMessage:
    return MailMessage(f"msg_{number}", LETTER.domain, LETTER.written_at, to, LETTER.subject, LETTER.text)


@pytest.fixture
def _trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server's authority is one of the machine's."""
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))


def by(server: MailServer, security: str = "starttls", host: str = "127.0.0.1", **more: str) -> SmtpOutbox:
    return SmtpOutbox(SmtpServer(host, server.port, security, SENDER, **more))  # type: ignore[arg-type]


def test_mail_says_who_what_and_when_with_a_stable_id() -> None:
    message = build_email_message(LETTER, SENDER)
    assert message["From"] == SENDER
    assert message["To"] == "ops@springfield.example"
    assert message["Message-ID"] == "<msg_1@0000.reconciler>"
    assert message["Date"].datetime.isoformat() == "2026-11-23T07:00:00+00:00"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message.get_content_type() == "text/plain"
    assert message.as_bytes() == build_email_message(LETTER, SENDER).as_bytes()


def test_a_subject_has_one_line() -> None:
    wild = MailMessage("msg_1", "x.reconciler", LETTER.written_at, LETTER.to, "held\r\nBcc: all@example.org", "")
    message = build_email_message(wild, SENDER)
    assert message["Bcc"] is None
    assert message["Subject"] == "held Bcc: all@example.org"


def test_file_outbox_has_one_private_file_per_mail(tmp_path: Path) -> None:
    outbox = FileOutbox(tmp_path / "out" / "box", SENDER)
    assert [outbox.send(letter(1)), outbox.send(letter(2)), outbox.send(letter(2))] == [DELIVERED] * 3
    files = sorted((tmp_path / "out" / "box").iterdir())
    assert [each.name for each in files] == ["2026-11-23-msg_1.eml", "2026-11-23-msg_2.eml"]
    assert {stat.S_IMODE(each.stat().st_mode) for each in files} == {0o600}
    read = message_from_bytes(files[0].read_bytes(), policy=default)
    assert read["Subject"] == LETTER.subject
    assert read.get_content().splitlines() == ["Zwölf warten."]


def test_a_mail_is_there_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    attempt = FileOutbox(tmp_path, SENDER).send(LETTER)
    assert (attempt.result, attempt.code, attempt.is_receiver_down) == (DeliveryResult.LATER, "mail-folder", True)
    assert "No space left" in attempt.why
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("_trusted")
def test_mail_goes_over_starttls_and_several_in_one_conversation(tmp_path: Path) -> None:
    with mail_server(tmp_path) as server:
        smtp = by(server)
        assert [smtp.send(letter(1)), smtp.send(letter(2))] == [DELIVERED, DELIVERED]
        smtp.close()
    assert [mail["Message-ID"] for mail in server.mails] == ["<msg_1@0000.reconciler>", "<msg_2@0000.reconciler>"]
    assert server.recipients == ["ops@springfield.example"] * 2
    assert server.mails[0].get_content().strip() == "Zwölf warten."


@pytest.mark.usefixtures("_trusted")
def test_mail_goes_over_tls_from_the_first_byte(tmp_path: Path) -> None:
    with mail_server(tmp_path, security="tls") as server:
        smtp = by(server, "tls")
        assert smtp.send(LETTER) == DELIVERED
        smtp.close()
    assert server.recipients == ["ops@springfield.example"]


@pytest.mark.usefixtures("_trusted")
def test_signing_in_and_a_wrong_password_is_one_attempt(tmp_path: Path) -> None:
    with mail_server(tmp_path, sign_in=True) as server:
        right = by(server, username=USER, password=PASSWORD)
        assert right.send(letter(1)) == DELIVERED
        right.close()
        wrong = by(server, username=USER, password="wrong horse")
        attempts = [wrong.send(letter(number)) for number in range(2, 5)]
        wrong.close()
    assert {(each.result, each.code, each.is_receiver_down) for each in attempts} == {
        (DeliveryResult.LATER, "mail-sign-in-refused", True)
    }
    assert server.sign_ins == [USER, USER]
    assert "horse" not in str(attempts)


def test_untrusted_server_gets_neither_password_nor_mail(tmp_path: Path) -> None:
    for security in ("starttls", "tls"):
        with mail_server(tmp_path, security=security, sign_in=security == "starttls") as server:
            attempt = by(server, security, username=USER, password=PASSWORD).send(LETTER)
        assert (attempt.result, attempt.code, attempt.is_receiver_down) == (
            DeliveryResult.LATER,
            "mail-server-untrusted",
            True,
        )
        assert server.mails == []
        assert server.sign_ins == []


@pytest.mark.usefixtures("_trusted")
def test_a_certificate_of_another_name_is_not_trusted(tmp_path: Path) -> None:
    with mail_server(tmp_path, host="mail.example") as server:
        assert by(server).send(LETTER).code == "mail-server-untrusted"
    assert server.mails == []


def test_server_without_starttls_gets_mail_only_if_local_and_configured(tmp_path: Path) -> None:
    with mail_server(tmp_path, security="none") as server:
        assert by(server).send(LETTER).code == "mail-server-too-plain"
        assert server.mails == []
        smtp = by(server, "none")
        assert smtp.send(LETTER) == DELIVERED
        smtp.close()
    attempt = SmtpOutbox(SmtpServer("192.0.2.1", 25, "none", SENDER)).send(LETTER)
    assert (attempt.code, attempt.is_receiver_down) == ("mail-not-private", True)


@pytest.mark.usefixtures("_trusted")
@pytest.mark.parametrize(
    ("answer", "result"),
    [("550 no such user", DeliveryResult.NEVER), ("451 greylisted, come back", DeliveryResult.LATER)],
)
def test_rejected_address_reveals_no_others(tmp_path: Path, answer: str, result: DeliveryResult) -> None:
    with mail_server(tmp_path) as server:
        server.refusals["gone@springfield.example"] = answer
        smtp = by(server)
        attempt = smtp.send(letter(1, "gone@springfield.example"))
        assert smtp.send(letter(2)) == DELIVERED
        smtp.close()
    assert (attempt.result, attempt.code, attempt.is_receiver_down) == (result, "mail-address-refused", False)
    assert "gone@" not in attempt.why
    assert server.recipients == ["ops@springfield.example"]


@pytest.mark.usefixtures("_trusted")
def test_a_mail_that_is_refused_is_tried_again(tmp_path: Path) -> None:
    with mail_server(tmp_path) as server:
        server.data = "554 looks like spam to ops@springfield.example"
        smtp = by(server)
        attempt = smtp.send(LETTER)
        smtp.close()
    assert (attempt.result, attempt.code) == (DeliveryResult.LATER, "mail-refused")
    assert "springfield" not in attempt.why


def test_missing_password_and_unreachable_server_are_reported(tmp_path: Path) -> None:
    with mail_server(tmp_path) as server:
        assert by(server, username=USER).send(LETTER).code == "smtp-password-not-set"
    assert by(server).send(LETTER).code == "mail-server-unreachable"
