"""Throw-away secrets for the example customers: random, never printed, gone with `.demo/`."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from pathlib import Path

#: customer -> the names that its files refer to as {secret: NAME}
NAMES: Mapping[str, tuple[str, ...]] = {
    "ogdenville": ("admin-password", "oneroster"),
    "shelbyville": ("admin-password", "sftp"),
    "springfield": ("admin-password", "canvas"),
}


def write_secrets(folder: Path) -> None:
    """Writes `FOLDER/CUSTOMER/NAME` as the `directory` backend reads it, for this user's eyes only."""
    for customer, names in NAMES.items():
        (folder / customer).mkdir(mode=0o700, parents=True)
        for name in names:
            file = folder / customer / name
            file.touch(mode=0o600)
            file.write_text(secrets.token_urlsafe(24))
