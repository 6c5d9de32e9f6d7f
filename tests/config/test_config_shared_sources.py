"""Customers that have the same source are told so, each at its own place."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.config.load import find_roster_source

SFTP = {"type": "sftp", "host": "sftp.example", "path": "/out/roster.zip", "username": "reader"}
API = {"type": "api", "url": "https://api.example/ims/oneroster/v1p1", "consumer_key": "k-1"}


def shared(mine: dict[str, Any], theirs: dict[str, Any]) -> str | None:
    one, other = (find_roster_source({"rostering": {"type": "oneroster", **each}}) for each in (mine, theirs))
    assert one is not None
    assert other is not None
    assert one.find_shared_part(other) == other.find_shared_part(one)
    return one.find_shared_part(other)


@pytest.mark.parametrize(
    ("mine", "theirs", "words"),
    [
        ({"client_partner_id": "d-1"}, {"client_partner_id": "d-1", "sync": SFTP}, "client_partner_id"),
        (
            {"client_partner_id": "d-1", "sync": SFTP},
            {"client_partner_id": "d-1", "sync": SFTP},
            "client_partner_id, SFTP host and path",
        ),
        (
            {"client_partner_id": "d-1", "sync": SFTP},
            {
                "client_partner_id": "d-2",
                "sync": {**SFTP, "host": "SFTP.Example.", "path": "out//roster.zip", "port": 22},
            },
            "SFTP host and path",
        ),
        (
            {"client_partner_id": "d-1", "sync": API},
            {"client_partner_id": "d-2", "sync": {**API, "url": "https://API.example:443/ims/oneroster/v1p1/"}},
            "API",
        ),
    ],
)
def test_196_same_source_is_found_however_it_is_written(
    mine: dict[str, Any], theirs: dict[str, Any], words: str
) -> None:
    assert shared(mine, theirs) == words


@pytest.mark.parametrize(
    "theirs",
    [
        {"client_partner_id": "d-2", "sync": SFTP | {"path": "/out/other.zip"}},
        {"client_partner_id": "d-2", "sync": SFTP | {"username": "another"}},
        {"client_partner_id": "d-2", "sync": API},
        {"client_partner_id": "d-1", "sync": SFTP, "select": {"schools": ["s-2"]}},
    ],
)
def test_196_another_source_or_another_part_of_it_is_not_shared(theirs: dict[str, Any]) -> None:
    assert shared({"client_partner_id": "d-1", "sync": SFTP, "select": {"schools": ["s-1"]}}, theirs) is None
