"""Where a store is: the URL taken apart once, with a form that may be shown."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlsplit

from reconciler.store.errors import StoreProblem

URL_FORMS = "Use sqlite:///relative/path.db, sqlite:////absolute/path.db or postgresql://HOST/DATABASE."


@dataclass(frozen=True, slots=True)
class SqliteAddress:
    """path: the durable file. The volatile one, the key and the locks stand beside it."""

    path: Path

    def __str__(self) -> str:
        return f"sqlite:///{self.path}"

    @property
    def volatile(self) -> Path:
        return self.path.with_name(f"{self.path.stem}-volatile{self.path.suffix or '.db'}")

    @property
    def key_file(self) -> Path:
        return self.path.with_suffix(".key")

    @property
    def locks(self) -> Path:
        return self.path.with_suffix(".locks")


@dataclass(frozen=True, slots=True)
class PostgresqlAddress:
    """uri: for libpq, password and all; never shown. `str()` leaves user, password and options out."""

    uri: str

    def __str__(self) -> str:
        parts = urlsplit(self.uri)
        host = parts.hostname or "localhost"
        port = f":{parts.port}" if parts.port else ""
        return f"postgresql://{host}{port}{parts.path}"

    def __repr__(self) -> str:
        return f"PostgresqlAddress({str(self)!r})"


Address = SqliteAddress | PostgresqlAddress


def parse_store_url(url: str) -> Address:
    """Raises StoreProblem `store-url` for anything else than the two forms; the URL is not repeated."""
    scheme, separator, rest = url.partition(":")
    if separator and scheme == "sqlite" and rest.startswith("///") and len(rest) > len("///"):
        return SqliteAddress(_parse_file_path(rest[len("///") :]))
    if separator and scheme in ("postgresql", "postgres"):
        try:
            parts = urlsplit(url)
            usable = rest.startswith("//") and len(parts.path) > 1 and (parts.port or 1) > 0
        except ValueError:
            usable = False
        if usable:
            return PostgresqlAddress(f"postgresql:{rest}")
    raise StoreProblem("store-url", "the store's URL is not one that can be read", URL_FORMS)


def _parse_file_path(path_text: str) -> Path:
    """A name that is a path and nothing else: what other programs read options or a store in memory from is refused,
    rather than made as a file of that name."""
    if "?" in path_text or path_text.startswith((":", "file:")):
        raise StoreProblem("store-url", "a SQLite store is a file: its URL takes no options and no :memory:", URL_FORMS)
    return Path(path_text).expanduser()


def build_sqlite_uri(path: Path) -> str:
    """SQLite's own URI form; opens what is there and never makes a file."""
    return f"file:{quote(str(path.absolute()))}?mode=rw"
