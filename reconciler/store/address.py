"""Parse the URL of a store into an address whose `str()` is safe to show."""

import os
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlsplit

from reconciler.store.errors import StoreProblem

URL_FORMS = "Use sqlite:///relative/path.db, sqlite:////absolute/path.db or postgresql://HOST/DATABASE."


@dataclass(frozen=True, slots=True)
class SqliteAddress:
    """The address of a SQLite store. Its volatile file, key and locks are next to its durable file."""

    #: the durable file
    path: Path

    def __str__(self) -> str:
        return f"sqlite:///{self.path}"

    @property
    def volatile(self) -> Path:
        return self.path.with_name(f"{self.path.stem}-volatile{self.path.suffix or '.db'}")

    @property
    def is_read_only(self) -> bool:
        """Return True if this process may read the store and not write it, as on a read-only disk."""
        return self.path.exists() and not (os.access(self.path, os.W_OK) and os.access(self.path.parent, os.W_OK))

    @property
    def key_file(self) -> Path:
        return self.path.with_suffix(".key")

    @property
    def locks(self) -> Path:
        return self.path.with_suffix(".locks")


@dataclass(frozen=True, slots=True)
class PostgresqlAddress:
    """The address of a PostgreSQL store. `str()` leaves out user, password and options."""

    #: for libpq, with the password; never shown
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
    """Parse a sqlite: or postgresql: URL. Raises StoreProblem `store-url`, which does not repeat the URL."""
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
    raise StoreProblem("store-url", "the store URL is not valid", URL_FORMS)


def _parse_file_path(path_text: str) -> Path:
    """Return a plain path; refuse options and `:memory:`, which would otherwise become part of a file's name."""
    if "?" in path_text or path_text.startswith((":", "file:")):
        raise StoreProblem("store-url", "a SQLite store is a file; its URL cannot have options or :memory:", URL_FORMS)
    return Path(path_text).expanduser()


def build_sqlite_uri(path: Path, *, is_read_only: bool = False) -> str:
    """Return SQLite's own URI of a file, which opens an existing file and never creates one.

    A write-ahead log needs an index beside it, which nobody can make on a read-only disk. Without a log, the file alone
    is all of the store, and immutable."""
    name = quote(str(path.absolute()))
    if not is_read_only:
        return f"file:{name}?mode=rw"
    log = path.with_name(f"{path.name}-wal")
    has_log = log.exists() and log.stat().st_size > 0
    return f"file:{name}?mode=ro" if has_log else f"file:{name}?mode=ro&immutable=1"
