"""Keeps the cookies of each host apart, so that a host gets back only those that it set itself."""

import threading
from collections.abc import Callable, Mapping
from http.cookiejar import CookieJar
from typing import Any

import httpx

#: Cookies per host. A server that sets more has none of them kept.
MAX_COOKIES = 50


class HostCookies:
    """The cookies of one client, in memory only; threads may share it."""

    def __init__(self) -> None:
        self._jars: dict[tuple[str, str], CookieJar] = {}
        self._lock = threading.Lock()

    @property
    def hooks(self) -> Mapping[str, list[Callable[..., Any]]]:
        """Return the event hooks of an httpx client."""
        return {"request": [self._send_cookies], "response": [self._save_cookies]}

    def _send_cookies(self, request: httpx.Request) -> None:
        jar = self._jars.get((request.url.scheme, request.url.host))
        if jar is not None:
            httpx.Cookies(jar).set_cookie_header(request)

    def _save_cookies(self, response: httpx.Response) -> None:
        if "set-cookie" not in response.headers:
            return
        url = response.request.url
        with self._lock:
            jar = self._jars.setdefault((url.scheme, url.host), CookieJar())
            httpx.Cookies(jar).extract_cookies(response)
            if len(jar) > MAX_COOKIES:
                jar.clear()
