"""Calls the roster server with nothing but httpx and oauthlib."""

from __future__ import annotations

from typing import Any

import httpx
from oauthlib.oauth1 import Client

from tests.support.roster_server.authority import CONSUMER_KEY, SCOPE, SECRET
from tests.support.roster_server.server import RosterServer
from tests.support.rosters.bundles import bundle

SMALL = bundle(users=12, schools=2, classes=4).with_sessions_and_courses()


class Caller:
    """Asks a server as somebody who has nothing to do with the program."""

    def __init__(self, server: RosterServer) -> None:
        self.server = server
        self.http = httpx.Client(trust_env=False, timeout=5, verify=False)

    def signed(self, url: str, **how: Any) -> dict[str, str]:
        return dict(Client(how.pop("key", CONSUMER_KEY), how.pop("secret", SECRET), **how).sign(url)[1])

    def get(self, path: str, **query: Any) -> httpx.Response:
        url = str(httpx.URL(f"{self.server.url}/{path}", params=query or None))
        return self.http.get(url, headers=self.signed(url))

    def ids(self, path: str, **query: Any) -> list[str]:
        answer = self.get(path, **query)
        assert answer.status_code == 200, answer.text
        return [record["sourcedId"] for record in next(iter(answer.json().values()))]


def token(server: RosterServer, *names: str, version: str = "1p1") -> dict[str, str]:
    scope = " ".join(SCOPE.format(version, name) for name in names)
    answer = httpx.post(
        server.token_url,
        data={"grant_type": "client_credentials", "scope": scope},
        auth=(CONSUMER_KEY, SECRET),
        trust_env=False,
        verify=False,
    )
    assert answer.status_code == 200, answer.text
    return {"Authorization": f"Bearer {answer.json()['access_token']}"}
