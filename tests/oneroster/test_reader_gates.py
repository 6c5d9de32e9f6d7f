"""The gates of the reader: rosters refused before there is a snapshot, with the code of the gate table."""

from __future__ import annotations

import io
import random
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from reconciler.model.gate import GATES, GateOutcome
from reconciler.oneroster.archive.shape import ENDLESS, MOST_HEADER_LENGTH
from reconciler.planning.holds.gates import RULES
from tests.support.rosters.bundles import Bundle, bundle
from tests.support.rosters.reading import refused_file

SMALL = bundle(users=40)
USERS = SMALL.text("users").encode()
TERM = {"title": "T", "type": "term", "startDate": "2026-08-20", "endDate": "2027-01-15", "sourcedId": "t-1"}

#: Decided where the customer and its kept roster are known, and tested there.
ELSEWHERE = {
    "not-this-customer",
    "schools-without-parent",
    *(rule.__name__.removeprefix("check_").replace("_", "-") for rule in RULES),
}

BENT: dict[str, Bundle] = {
    "missing-file": SMALL.without_file("orgs.csv"),
    "empty-file": SMALL.raw("users.csv", b""),
    "truncated-file": SMALL.raw("users.csv", USERS[:-40]),
    "unbalanced-quote": SMALL.raw("users.csv", USERS.replace(b"u-0003,", b'u-0003,"', 1)),
    "too-many-malformed-rows": SMALL.raw("users.csv", USERS.replace(b"@example.com", b"@example.com,x")),
    "huge-row": SMALL.raw("users.csv", USERS + random.Random(1).randbytes(ENDLESS // 2 + 1).hex().encode()),
    "huge-header": SMALL.raw("users.csv", b"x" * (MOST_HEADER_LENGTH + 1) + b"," + USERS),
    "wrong-encoding": SMALL.raw("users.csv", USERS.replace(b"Ada", "Adä".encode("cp1252"))),
    "wrong-delimiter": SMALL.raw("users.csv", USERS.replace(b",", b";")),
    "wrong-file-header": SMALL.raw("users.csv", SMALL.text("classes").encode()),
    "missing-column": SMALL.raw("users.csv", USERS.replace(b"familyName", b"surname", 1)),
    "duplicate-header": SMALL.raw("users.csv", USERS.replace(b",sms,", b",email,", 1)),
    "session-cycle": SMALL.with_rows("academicSessions", [{**TERM, "parentSourcedId": "t-1"}]),
    "delta-without-whole": SMALL.delta(SMALL.with_user("u-0003", givenName="Zoe")),
}


def _damaged(content: bytes) -> bytes:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        start = archive.getinfo("users.csv").header_offset
    return content[: start + 60] + bytes([content[start + 60] ^ 0xFF]) + content[start + 61 :]


def _encrypted(content: bytes) -> bytes:
    at = content.rindex(b"PK\x01\x02") + 8
    return content[:at] + bytes([content[at] | 1]) + content[at + 1 :]


SPOILT: dict[str, Callable[[bytes], bytes]] = {
    "truncated-archive": lambda content: content[:-100],
    "damaged-archive": _damaged,
    "encrypted-member": _encrypted,
}


@pytest.mark.parametrize("code", BENT)
def test_a_bent_roster_is_refused_under_the_gates_code(tmp_path: Path, code: str) -> None:
    found = refused_file(BENT[code].zip(tmp_path / "roster.zip"), base=lambda: None)
    assert code in {each.code for each in found}
    assert all(each.hint for each in found)


@pytest.mark.parametrize("code", SPOILT)
def test_a_spoilt_archive_is_refused_under_the_gates_code(tmp_path: Path, code: str) -> None:
    path = SMALL.zip(tmp_path / "roster.zip")
    path.write_bytes(SPOILT[code](path.read_bytes()))
    assert {each.code for each in refused_file(path)} == {code}


def test_every_gate_of_the_table_that_refuses_is_somebodys(tmp_path: Path) -> None:
    refusing = {code for code, gate in GATES.items() if gate.outcome is GateOutcome.REFUSED}
    assert refusing == ({*BENT, *SPOILT} | ELSEWHERE) & refusing
    assert {*BENT, *SPOILT}.isdisjoint(ELSEWHERE)
    assert {*BENT, *SPOILT} <= refusing
