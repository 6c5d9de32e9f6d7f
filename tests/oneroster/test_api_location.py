"""Where paths and links lead, and what of them is shown."""

from __future__ import annotations

import httpx
import pytest

from reconciler.oneroster.sources.api.http.urls import (
    OutsideBaseError,
    build_url,
    redact_url,
    resolve_link,
    resolve_redirect,
)

BASE = httpx.URL("https://sis.example/aeries/ims/oneroster/v1p1")
PORT = httpx.URL("https://sis.example:8443/ims")


@pytest.mark.parametrize(
    ("base", "link", "target"),
    [
        (BASE, "http://sis.example/aeries/users?offset=2", "https://sis.example/aeries/users?offset=2"),
        (BASE, "http://sis.example:80/aeries/users", "https://sis.example/aeries/users"),
        (BASE, "http://sis.example:443/users", "https://sis.example/users"),
        (BASE, "https://SIS.example:443/users", "https://sis.example/users"),
        (BASE, "https://user:password@sis.example/users#top", "https://sis.example/users"),
        (BASE, "users?offset=2", "https://sis.example/aeries/ims/oneroster/v1p1/users?offset=2"),
        (PORT, "http://sis.example/users", "https://sis.example:8443/users"),
        (BASE, "/users?filter=a>'b c'&x", "https://sis.example/users?filter=a%3E%27b%20c%27&x="),
    ],
)
def test_link_stays_within_the_api_and_stays_secure(base: httpx.URL, link: str, target: str) -> None:
    assert str(resolve_link(base, link)) == target


@pytest.mark.parametrize(
    "link", ["https://sis.example.evil.example/", "https://evil.example/@sis.example", "https://sis.example:444/", " "]
)
def test_a_link_elsewhere_is_not_taken(link: str) -> None:
    with pytest.raises(OutsideBaseError):
        resolve_link(BASE, link)


def test_a_redirect_from_https_to_http_is_not_taken() -> None:
    with pytest.raises(OutsideBaseError, match="from https to http"):
        resolve_redirect(BASE, "http://sis.example/users")


def test_a_query_of_the_base_address_stays() -> None:
    url = build_url(httpx.URL("https://sis.example/ims/?district=7"), "/users", {"limit": "5"})
    assert str(url) == "https://sis.example/ims/users?district=7&limit=5"


def test_only_the_standards_parameters_are_shown() -> None:
    url = httpx.URL("https://sis.example/aeries/ims/oneroster/v1p1/users?limit=5&access_token=t0k3n")
    assert redact_url(url, BASE) == "/users?limit=5&access_token=…"
    assert redact_url(url) == "/aeries/ims/oneroster/v1p1/users?limit=5&access_token=…"
