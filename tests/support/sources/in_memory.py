"""Replaces roster servers with sources in memory that record each fetch."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from reconciler.model.diagnostic import Refusal
from reconciler.oneroster.sources.interface import FetchRequest, ProbeFinding, Source, SourceBundle
from reconciler.operations.sync import run as syncing
from tests.support.rosters.bundles import Bundle

SFTP = """\
rostering:
  type: oneroster
  client_partner_id: d-1
  match_with: identifier
  sync: {{type: sftp, host: {host}, username: u, password: {{secret: sftp}}, path: /out/roster.zip,
         host_key: "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGv5bHbHLLfXVV6ZtfJZ0DkbXWBZt7WwGQGjTM5cQqGm"{auto}}}
"""
API = """\
rostering:
  type: oneroster
  client_partner_id: d-1
  match_with: identifier
  sync: {{type: api, url: "https://{host}/ims/oneroster/v1p1", authorization: oauth1, consumer_key: k,
         secret_key: {{secret: oneroster}}{auto}}}
"""


def packed(made: Bundle) -> bytes:
    """The same bundle gives the same bytes."""
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in made.files().items():
            archive.writestr(zipfile.ZipInfo(name, (2026, 8, 20, 3, 0, 0)), content, zipfile.ZIP_DEFLATED)
    return sink.getvalue()


@dataclass
class GivenSource:
    """given: what the next fetch gets. asked: every fetch. on_fetch: is called in each, before it answers. real: what
    would be fetched from, where `through` asks for it."""

    given: Bundle | bytes | Refusal | Exception
    type: str = "sftp"
    host: str = "sftp.example.org"
    asked: list[FetchRequest] = field(default_factory=list)
    streams: list[io.BytesIO] = field(default_factory=list)
    on_fetch: Callable[[], object] = lambda: None
    through: bool = False
    real: Source | None = None

    def fetch(self, ask: FetchRequest) -> SourceBundle:
        self.asked.append(ask)
        self.on_fetch()
        if isinstance(self.given, Exception):
            raise self.given
        stream = io.BytesIO(self.given if isinstance(self.given, bytes) else packed(self.given))
        self.streams.append(stream)
        return SourceBundle(stream, self.type, f"{self.host}:/out/roster.zip", ask.fetched_at)

    def probe(self, ask: FetchRequest) -> tuple[ProbeFinding, ...]:
        return ()


Sources = dict[str, GivenSource]


def given_sources(monkeypatch: pytest.MonkeyPatch) -> Sources:
    """By customer; a customer that has none here is fetched as it would be."""
    found: Sources = {}
    real = syncing.create_source

    def source_of(workspace: Any, customer: Any, *rest: Any) -> Any:
        given = found.get(customer.id)
        if given is None:
            return real(workspace, customer, *rest)
        if given.through:
            given.real = real(workspace, customer, *rest)
        return given

    monkeypatch.setattr(syncing, "create_source", source_of)
    return found
