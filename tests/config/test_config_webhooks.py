"""A webhook's URL with a secret in it is a reference to a secret."""

from __future__ import annotations

import pytest

from reconciler.config.fields import mask_url
from tests.support.customers.files import Files

TOKEN = "s3cr3tB4dgerW1thL0ngT41l"


@pytest.mark.parametrize(
    "url",
    [
        "https://hooks.slack.com/services/T0/B0/x",
        f"https://chat.example/hooks/{TOKEN}",
        f"https://relay.example/in?key={TOKEN}",
        "https://relay.example/in?sig=abc",
        "https://x.webhook.office.com/webhookb2/0",
        "https://relay.example/6f1c3a52-9d1e-4a0b-8c55-0d2f6c1e7a90/in",
    ],
)
def test_148_literal_url_that_lets_everybody_post_is_refused(files: Files, url: str) -> None:
    files.community()
    files.customer(f"notify: {{webhook: '{url}'}}\n")
    assert files.codes() == ["secret-in-url"]
    assert "webhook: {secret: NAME}" in files.said()
    assert TOKEN not in files.said()


@pytest.mark.parametrize(
    "webhook",
    [
        "'https://hooks.springfield.example/rosters'",
        "'https://hooks.springfield.example/a-long-descriptive-name-of-2026'",
        "'https://hooks.springfield.example/v2/districts/0601234?format=json'",
        "{secret: hook}",
    ],
)
def test_148_plain_url_and_reference_are_valid(files: Files, webhook: str) -> None:
    files.community()
    files.customer(f"notify: {{webhook: {webhook}}}\n")
    assert files.codes() == []


@pytest.mark.parametrize(
    ("webhook", "code"), [("{secret: A B}", "invalid-id"), ("{url: x}", "unknown-key"), ("{}", "missing-key")]
)
def test_148_mistake_in_a_reference_has_its_place(files: Files, webhook: str, code: str) -> None:
    files.community()
    files.customer(f"notify: {{webhook: {webhook}}}\n")
    assert code in files.codes()
    assert "customer.yaml" in files.said()


def test_148_masked_url_has_only_scheme_and_host() -> None:
    assert mask_url("https://hooks.slack.com/services/T0/B0/x") == "https://hooks.slack.com/…"
    assert mask_url("https://h.example:8443/?key=x") == "https://h.example:8443/…"
    assert mask_url("https://h.example/") == "https://h.example"
