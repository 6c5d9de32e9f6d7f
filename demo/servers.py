"""The servers of the two districts whose rosters are fetched, and their files with the addresses of these servers."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from demo.api_server import serve_api
from demo.bundle import write_bundle
from demo.neighbors import build_ogdenville, build_shelbyville
from demo.sftp_server import serve_sftp
from demo.tables import render_tables

CONSUMER_KEY = "reader-ogdenville"
USERNAME = "reader"

SETTINGS = """\
# The demo's store, and leave to fetch from this machine: rosters are fetched from no private address otherwise.
format: 1
environments:
  demo:
    store: sqlite:///../store.db
    secrets: {backend: directory, path: ../secrets}
network: {allow: ["127.0.0.1"]}
"""


@contextmanager
def run_servers(root: Path) -> Iterator[Path]:
    """Both run as long as the context lasts. Gives a copy of the customers' files, in `.demo/here/`, in which nothing
    differs but their addresses."""
    place = root / ".demo"
    outgoing = place / "sftp" / "out"
    outgoing.mkdir(parents=True)
    write_bundle(outgoing / "roster.zip", render_tables(build_shelbyville()))
    password, secret = (
        (place / "secrets" / customer / name).read_text()
        for customer, name in (("shelbyville", "sftp"), ("ogdenville", "oneroster"))
    )
    with (
        serve_sftp(place / "sftp", USERNAME, password) as sftp,
        serve_api(build_ogdenville(), CONSUMER_KEY, secret) as url,
    ):
        copied = place / "here" / "customers"
        shutil.copytree(root / "customers", copied)
        (copied.parent / "reconciler.yaml").write_text(SETTINGS, encoding="utf-8")
        _rewrite_addresses(copied / "shelbyville", host=sftp.host, port=str(sftp.port), host_key=sftp.host_key)
        _rewrite_addresses(copied / "ogdenville", url=url)
        yield copied


def _rewrite_addresses(customer: Path, **values: str) -> None:
    file = customer / "customer.yaml"
    text = file.read_text(encoding="utf-8")
    for key, value in values.items():
        text, times = re.subn(rf"(?m)^( +{key}: )[^#\n]*?( +#.*)?$", rf"\g<1>{value}\g<2>", text)
        if times != 1:
            raise ValueError(f"{file} has no single {key}")
    file.write_text(text, encoding="utf-8")
