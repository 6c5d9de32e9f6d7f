"""A customer that leaves and a new one that looks like it."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.model.ids import CustomerId
from reconciler.planning.documents import find_likely_renames

OLD, NEW = CustomerId("springfield"), CustomerId("springfield-usd")


def document(
    name: str = "A", key: str = "k-a", email: str = "a@a.example", partner: str | None = "org-a"
) -> dict[str, Any]:
    return {
        "name": name,
        "lti": {"platforms": {"canvas": {"consumer_key": key}}},
        "administrators": {"ann": {"email": email}},
        "rostering": {"client_partner_id": partner} if partner else None,
    }


OTHER = {"name": "B", "key": "k-b", "email": "b@b.example", "partner": "org-b"}


@pytest.mark.parametrize(
    ("same", "evidence"),
    [
        ({}, None),
        ({"key": "k-a"}, ("consumer key",)),
        ({"partner": "org-a"}, ("client_partner_id",)),
        ({"email": "A@A.example"}, ("administrators",)),
        ({"name": " a "}, ("name",)),
        ({"key": "k-a", "name": "A"}, ("consumer key", "name")),
    ],
)
def test_one_thing_in_common_is_enough(same: dict[str, str], evidence: tuple[str, ...] | None) -> None:
    found = find_likely_renames({NEW: document(**{**OTHER, **same})}, {OLD: document()}, {}, {NEW: "c/customer.yaml"})
    assert [(each.former, each.new, each.evidence) for each in found] == ([(OLD, NEW, evidence)] if evidence else [])
    if evidence:
        assert "add previously: [springfield] to c/customer.yaml" in found[0].sentences[1]


def test_a_file_that_git_saw_moving_is_evidence() -> None:
    (found,) = find_likely_renames({NEW: document(**OTHER)}, {OLD: document()}, {NEW: OLD}, {})
    assert found.evidence == ("file in git",)
    assert find_likely_renames({NEW: document(**OTHER)}, {OLD: document()}, {NEW: CustomerId("elsewhere")}, {}) == ()


def test_missing_values_are_nothing_in_common() -> None:
    empty: dict[str, Any] = {"name": "", "lti": None, "administrators": {}, "rostering": None}
    assert find_likely_renames({NEW: empty}, {OLD: dict(empty)}, {}, {}) == ()
    blank = document(name="B", key="k-b", email="", partner=None)
    assert find_likely_renames({NEW: blank}, {OLD: document(email="", partner=None)}, {}, {}) == ()


def test_every_customer_that_it_may_be_is_named() -> None:
    also = CustomerId("shelbyville")
    found = find_likely_renames({NEW: document()}, {OLD: document(), also: document(**{**OTHER, "name": "A"})}, {}, {})
    assert [(each.former, each.evidence) for each in found] == [
        (also, ("name",)),
        (OLD, ("consumer key", "client_partner_id", "administrators", "name")),
    ]
