"""Pages that were fetched already, kept encrypted so that a fetch that was killed goes on from there.

A fetch has a folder of its own, named by a keyed digest of what it asks and of whom, and holds its lock: a second
process that fetches the same goes without. Everything in it is sealed by AES-GCM and bound to its place, so that no
page counts as another one, as one of another fetch, or of another server. Whatever cannot be read, or is older than
`LIFE`, is removed and fetched again: a checkpoint may save time and never decides anything.
"""

from __future__ import annotations

import fcntl
import hashlib
import hmac
import io
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson
import polars as pl
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from reconciler.oneroster.sources.api.pages.paging import Page, Request

FORMAT = 1
LIFE = timedelta(hours=24)
#: For so long pages count where neither a total nor their seams would show that rows moved.
FRESH = timedelta(minutes=30)
#: Bytes that stay free for others on the disk: a checkpoint only saves time.
FREE = 1024**3
LOCK, HEAD = "lock", "head"
NONCE = 12
LENGTH = 8


@dataclass(frozen=True, slots=True)
class Checkpoints:
    """folder: made when it is needed, mode 0700. key: 32 bytes."""

    folder: Path
    key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class KeptPage:
    """request: by which it came. page: what it was found to be. frames: all of its rows, by file stem."""

    request: Request
    page: Page
    frames: Mapping[str, pl.DataFrame]


class Checkpoint:
    """The pages of one fetch. `fetch` is the id that binds them together. begun: ISO-8601 UTC, when its first page was
    asked for. fresh: that this is so short ago that its pages need no other proof."""

    def __init__(self, folder: Path, key: bytes, fetch: str, begun: str = "", *, fresh: bool = True) -> None:
        self.begun = begun
        self.fresh = fresh
        self._folder = folder
        self._cipher = AESGCM(key)
        self._fetch = fetch
        self._works = True

    def pages(self, collection: str) -> Iterator[KeptPage]:
        """Those of one collection in their order, up to the first that is missing or cannot be read."""
        number = 0
        while (kept := self._page(collection, number)) is not None:
            yield kept
            number += 1
        self._drop(collection, number)

    def put(self, collection: str, number: int, kept: KeptPage) -> None:
        """number: from 0, without gaps. Where it cannot be written, or hardly any room is left, there is no checkpoint
        any more."""
        if not self._works:
            return
        if not _has_room(self._folder):
            self.remove()
            return
        frames = [_packed(frame) for frame in kept.frames.values()]
        head = orjson.dumps(
            {
                "request": asdict(kept.request),
                "page": asdict(kept.page) | {"digest": kept.page.digest.hex()},
                "frames": dict(zip(kept.frames, map(len, frames), strict=True)),
            }
        )
        content = len(head).to_bytes(LENGTH, "big") + head + b"".join(frames)
        try:
            _write(self._folder / _name(collection, number), self._sealed(_name(collection, number), content))
        except OSError:
            self.remove()

    def forget(self, collection: str) -> None:
        """Its pages are no part of what is fetched any more."""
        self._drop(collection, 0)

    def remove(self) -> None:
        self._works = False
        shutil.rmtree(self._folder, ignore_errors=True)

    def _page(self, collection: str, number: int) -> KeptPage | None:
        name = _name(collection, number)
        try:
            content = self._opened(name, (self._folder / name).read_bytes())
            length = int.from_bytes(content[:LENGTH], "big")
            head = orjson.loads(content[LENGTH : LENGTH + length])
            frames, start = {}, LENGTH + length
            for stem, size in head["frames"].items():
                frames[stem] = pl.read_ipc_stream(io.BytesIO(content[start : start + size]))
                start += size
            page = Page(**head["page"] | {"digest": bytes.fromhex(head["page"]["digest"])})
            return KeptPage(Request(**head["request"]), page, frames)
        except (OSError, InvalidTag, ValueError, KeyError, TypeError, pl.exceptions.PolarsError):
            return None

    def _drop(self, collection: str, start: int) -> None:
        number = start
        with suppress(OSError):
            while (place := self._folder / _name(collection, number)).exists():
                place.unlink()
                number += 1

    def _sealed(self, name: str, content: bytes) -> bytes:
        nonce = os.urandom(NONCE)
        return nonce + self._cipher.encrypt(nonce, content, self._place(name))

    def _opened(self, name: str, sealed: bytes) -> bytes:
        return self._cipher.decrypt(sealed[:NONCE], sealed[NONCE:], self._place(name))

    def _place(self, name: str) -> bytes:
        return f"{FORMAT}\0{self._folder.name}\0{self._fetch}\0{name}".encode()


@contextmanager
def checkpoint(checkpoints: Checkpoints | None, asked: Mapping[str, object], now: str) -> Iterator[Checkpoint | None]:
    """Of the fetch that asks for this, going on with the pages of an earlier one that was cut off.

    asked: everything that decides what comes, without secrets. now: ISO-8601 UTC. None where another process has it, or
    nothing can be kept. It is left behind where the block ends by an exception, and removed where it ends well.
    """
    if checkpoints is None:
        yield None
        return
    text = orjson.dumps([FORMAT, asked], option=orjson.OPT_SORT_KEYS)
    folder = checkpoints.folder / hmac.new(checkpoints.key, text, hashlib.sha256).hexdigest()[:32]
    lock = _locked(folder)
    if lock is None:
        yield None
        return
    try:
        kept = _continued(folder, checkpoints.key, now)
        yield kept
        if kept is not None:
            kept.remove()
    finally:
        os.close(lock)


def remove_old(checkpoints: Checkpoints, now: str) -> None:
    """Fetches that nobody goes on with: begun longer ago than `LIFE`, and not under way. Where that cannot be read, as
    of another key, which another store may have, no page was added for as long."""
    for folder in _folders(checkpoints.folder):
        begun = _begun(folder, checkpoints.key)
        if begun is not None and datetime.fromisoformat(now) - begun >= LIFE:
            _remove(folder)


def remove_all(place: Path) -> None:
    """Every fetch that is not under way, of whatever key. place: the folder of all of them."""
    for folder in _folders(place):
        _remove(folder)


def _folders(place: Path) -> tuple[Path, ...]:
    try:
        return tuple(each for each in place.iterdir() if not each.is_symlink() and each.is_dir())
    except OSError:
        return ()


def _begun(folder: Path, key: bytes) -> datetime | None:
    """None where it is gone by now."""
    head = _head(folder, key)
    if head is not None:
        return datetime.fromisoformat(head["begun"])
    try:
        return datetime.fromtimestamp(folder.stat().st_mtime, UTC)
    except OSError:
        return None


def _remove(folder: Path) -> None:
    lock = _locked(folder)
    if lock is not None:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def _locked(folder: Path) -> int | None:
    """A lock that dies with its holder; None where another has it, or the folder is not ours alone."""
    try:
        folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
        state = folder.lstat()
        if state.st_uid != os.getuid() or state.st_mode & 0o077 or folder.is_symlink():
            return None
        lock = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError:
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        return None
    return lock


def _continued(folder: Path, key: bytes, now: str) -> Checkpoint | None:
    """That of the fetch that lies there, if it is young enough; else a new one."""
    head = _head(folder, key)
    if head is not None and timedelta() <= _age(head, now) < LIFE:
        return Checkpoint(folder, key, head["fetch"], head["begun"], fresh=_age(head, now) < FRESH)
    seal, fetch = Checkpoint(folder, key, ""), os.urandom(16).hex()
    try:
        for each in folder.iterdir():
            if each.name != LOCK:
                each.unlink()
        _write(folder / HEAD, seal._sealed(HEAD, orjson.dumps({"begun": now, "fetch": fetch})))
    except OSError:
        return None
    return Checkpoint(folder, key, fetch, now)


def _head(folder: Path, key: bytes) -> dict[str, str] | None:
    """begun: ISO-8601 UTC; fetch. None where it is not there, or not ours."""
    try:
        sealed = (folder / HEAD).read_bytes()
        head = orjson.loads(Checkpoint(folder, key, "")._opened(HEAD, sealed))
        datetime.fromisoformat(head["begun"])
        return {"begun": head["begun"], "fetch": head["fetch"]}
    except (OSError, InvalidTag, ValueError, KeyError, TypeError):
        return None


def _age(head: Mapping[str, str], now: str) -> timedelta:
    return datetime.fromisoformat(now) - datetime.fromisoformat(head["begun"])


def _name(collection: str, number: int) -> str:
    return f"{collection}-{number:06d}"


def _packed(frame: pl.DataFrame) -> bytes:
    sink = io.BytesIO()
    frame.write_ipc_stream(sink, compression="zstd")
    return sink.getvalue()


def _has_room(folder: Path) -> bool:
    try:
        return shutil.disk_usage(folder).free >= FREE
    except OSError:
        return False


def _write(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with open(descriptor, "wb") as stream:
        stream.write(content)
