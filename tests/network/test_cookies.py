"""A host gets back only the cookies that it set itself."""

from __future__ import annotations

from http.cookiejar import CookieJar, DefaultCookiePolicy

import httpx
import pytest

from reconciler.network.cookies import MAX_COOKIES, HostCookies


def ask(client: httpx.Client, url: str) -> str | None:
    sent: str | None = client.get(url).json()["cookie"]
    return sent


def client_of(*set_cookies: str) -> httpx.Client:
    """A client of servers which set these cookies and tell the cookie that they got."""

    def answer(request: httpx.Request) -> httpx.Response:
        headers = [("set-cookie", each) for each in set_cookies]
        return httpx.Response(200, headers=headers, json={"cookie": request.headers.get("cookie")})

    none = CookieJar(DefaultCookiePolicy(allowed_domains=[]))
    return httpx.Client(transport=httpx.MockTransport(answer), cookies=none, event_hooks=dict(HostCookies().hooks))


@pytest.mark.parametrize("attributes", ["", "; Domain=school.example", "; Domain=.example"])
def test_198_a_host_below_or_beside_it_gets_none(attributes: str) -> None:
    with client_of(f"node=1{attributes}") as client:
        ask(client, "https://school.example/a")
        for other in ("https://api.school.example", "https://example", "https://other.example"):
            assert ask(client, f"{other}/a") is None, other


def test_198_path_and_secure_are_obeyed() -> None:
    with client_of("a=1; Path=/ims", "b=2; Path=/other", "c=3; Secure") as client:
        ask(client, "https://school.example/ims/users")
        assert ask(client, "https://school.example/ims/users") == "a=1; c=3"
        assert ask(client, "http://school.example/ims/users") is None


def test_198_a_host_that_sets_cookies_without_end_gets_none() -> None:
    with client_of(*(f"c{number}=1" for number in range(MAX_COOKIES + 1))) as client:
        ask(client, "https://school.example/")
        assert ask(client, "https://school.example/") is None
