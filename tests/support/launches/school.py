"""A customer with a roster and an LMS, applied to a real store, and a browser that arrives from the LMS."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count

import httpx2
from starlette.testclient import TestClient

from reconciler.service.site import Site
from reconciler.store.address import parse_store_url
from reconciler.store.key import StoreKey
from reconciler.store.service import ConfigurationCache, open_request_database
from tests.support.customers.project import KEY as STORE_KEY
from tests.support.launches.signed import LAUNCH, NOW, sign_launch

TIME = datetime.fromtimestamp(NOW, UTC)
PUBLIC_URL = "https://read.example"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
HIGH = """\
kind: community
id: high
name: High
site_license: {{seats: {seats}, starts: 2026-08-01, ends: 2027-07-31}}
lti: {{auto_provisioning: {auto}}}
"""
LMS = """\
lti:
  platforms:
    - id: canvas
      consumer_key: lms-1
      shared_secret: {secret: lms}
      origins: ["https://lms.example"]
      community: high
"""
LESSON = "kind: lesson\nid: cells\ntitle: Cells & tissues\nurl: https://lessons.example/cells\n"


@contextmanager
def open_site(store_url: str) -> Iterator[Site]:
    """Open a store for requests, as a worker of `serve` does."""
    database = open_request_database(parse_store_url(store_url))
    try:
        key = StoreKey(STORE_KEY)
        yield Site(PUBLIC_URL, database, ConfigurationCache(database, key), key)
    finally:
        database.close()


#: No two launches have the same.
NONCES = count(1)


@dataclass(frozen=True)
class Lms:
    """Sends a browser to the site with launches, each with a nonce of its own."""

    browser: TestClient

    def launch(
        self, lesson: str = "cells", *, nonce: str = "", secret: str = "", key: str = "", **changes: str
    ) -> httpx2.Response:
        """Return the answer to the POST alone."""
        path = f"/lti/launch/{lesson}" if lesson else "/lti/launch"
        fields = {name: value for name, value in {**LAUNCH, **changes}.items() if value != ABSENT}
        options = {name: value for name, value in (("secret", secret), ("key", key)) if value}
        body = sign_launch(fields.items(), url=f"{PUBLIC_URL}{path}", nonce=nonce or f"nonce-{next(NONCES)}", **options)
        return self.browser.post(path, content=body, headers=FORM)

    def arrive(self, lesson: str = "cells", **changes: str) -> httpx2.Response:
        """Return the page at which a launch ends."""
        answer = self.launch(lesson, **changes)
        if answer.status_code != 303:
            return answer
        return self.browser.get(answer.headers["location"])


#: The value of a parameter that the LMS leaves out
ABSENT = "\0"
