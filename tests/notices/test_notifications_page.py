"""docs/how-to/notifications.md keeps its word: the body is as it says, and its commands verify a real post."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import orjson
import pytest

from reconciler.model.sync import EventKind
from reconciler.notices.attempt import MAX_MESSAGE_AGE, RETRY_DELAYS
from reconciler.notices.notice import Notice, NoticeHold
from reconciler.notices.signing import build_signature_headers, derive_public_key
from reconciler.notices.webhook import TIMEOUTS, build_webhook_body

PAGE = (Path(__file__).parents[2] / "docs" / "how-to" / "notifications.md").read_text(encoding="utf-8")
SEED = bytes(range(32))


def block(language: str) -> str:
    found = re.search(rf"^```{language}\n(.*?)^```", PAGE, re.S | re.M)
    assert found is not None
    return found[1]


def test_the_body_is_the_one_that_is_shown() -> None:
    shown = orjson.loads(block("json"))
    notice = Notice(
        EventKind.HELD,
        shown["customer"],
        shown["at"],
        shown["since"],
        tuple(shown["sentences"]),
        NoticeHold(**shown["hold"]),
        shown["name"],
    )
    made = orjson.loads(build_webhook_body(notice, shown["id"], shown["see"]["url"]))
    assert made == shown
    assert list(made) == list(shown)


def test_every_event_and_every_distance_is_told() -> None:
    assert [name for name in EventKind if f"| `{name}` |" in PAGE] == list(EventKind)
    assert [each.total_seconds() / 60 for each in RETRY_DELAYS] == [1, 5, 30, 2 * 60, 5 * 60, 12 * 60]
    assert MAX_MESSAGE_AGE.days == 3
    assert TIMEOUTS.read == 10


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not there")
@pytest.mark.parametrize("secret", [None, b"0123456789abcdef0123456789abcdef"])
@pytest.mark.parametrize("forged", [False, True])
def test_openssl_commands_verify_only_a_genuine_post(tmp_path: Path, secret: bytes | None, forged: bool) -> None:
    body = block("json").encode()
    headers = build_signature_headers("msg_1", 1795417867, body, SEED, secret)
    (tmp_path / "body").write_bytes(body.replace(b"12 of 12", b"no one") if forged else body)
    variables = {name.upper().replace("-", "_"): value for name, value in headers.items()}
    played = subprocess.run(
        ["sh", "-e", "-c", block("sh")],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], **variables, "WEBHOOK_KEY": derive_public_key(SEED)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (played.returncode == 0) is not forged
    assert ("Signature Verified Successfully" in played.stdout) is not forged
