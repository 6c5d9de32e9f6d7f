"""Saves fetched pages, encrypted, so that the next fetch resumes an interrupted one.

A fetch has its own folder, named by a keyed digest of its request and server, and holds the folder's lock: a second
process that fetches the same works without a checkpoint. Each file is encrypted by AES-GCM and bound to its place, so
that no page is taken for another one, or for one of another fetch or server. Unreadable pages, and pages older than
`MAX_CHECKPOINT_AGE`, are removed and fetched again: a checkpoint only saves time.
"""

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

from reconciler.model.ids import Moment
from reconciler.oneroster.sources.api.pages.paging import PageFacts, PageRequest

FORMAT = 1
MAX_CHECKPOINT_AGE = timedelta(hours=24)
#: Saved pages count for this long even if neither a total nor overlaps would show that rows moved.
FRESH_AGE = timedelta(minutes=30)
#: Bytes to leave free on the disk, because a checkpoint only saves time.
MIN_FREE_BYTES = 1024**3
LOCK, HEAD = "lock", "head"
NONCE = 12
LENGTH = 8


@dataclass(frozen=True, slots=True)
class CheckpointSettings:
    """Folder and key of the checkpoints."""

    #: created on first use, mode 0700
    folder: Path
    #: 32 bytes
    key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class CheckpointPage:
    """One saved page."""

    #: the request that returned it
    request: PageRequest
    #: its facts, as the paging machine saw them
    page: PageFacts
    #: all of its rows, by file stem
    frames: Mapping[str, pl.DataFrame]


class Checkpoint:
    """The saved pages of one fetch, which the id `fetch` binds together.

    started_at: moment of its first request, ISO-8601 UTC. fresh: it started so recently that its pages need no proof.
    """

    def __init__(self, folder: Path, key: bytes, fetch: str, started_at: Moment, *, fresh: bool = True) -> None:
        self.begun = started_at
        self.fresh = fresh
        self._folder = folder
        self._cipher = AESGCM(key)
        self._fetch = fetch
        self._works = True

    def read_pages(self, collection_name: str) -> Iterator[CheckpointPage]:
        """Yield a collection's pages in order, up to the first that is missing or unreadable."""
        number = 0
        while (kept := self._read_page(collection_name, number)) is not None:
            yield kept
            number += 1
        self._drop_pages(collection_name, number)

    def save_page(self, collection: str, number: int, entry: CheckpointPage) -> None:
        """Save a page; `number` counts from 0 without gaps.

        If it can't be written, or the disk is nearly full, this checkpoint ends.
        """
        if not self._works:
            return
        if not _has_free_space(self._folder):
            self.remove_checkpoint()
            return
        frames = [_serialize_frame(frame) for frame in entry.frames.values()]
        head = orjson.dumps(
            {
                "request": asdict(entry.request),
                "page": asdict(entry.page) | {"digest": entry.page.digest.hex()},
                "frames": dict(zip(entry.frames, map(len, frames), strict=True)),
            }
        )
        content = len(head).to_bytes(LENGTH, "big") + head + b"".join(frames)
        try:
            _write_file(
                self._folder / _format_page_name(collection, number),
                self._encrypt(_format_page_name(collection, number), content),
            )
        except OSError:
            self.remove_checkpoint()

    def forget_collection(self, collection: str) -> None:
        """Delete the saved pages of a collection."""
        self._drop_pages(collection, 0)

    def remove_checkpoint(self) -> None:
        self._works = False
        shutil.rmtree(self._folder, ignore_errors=True)

    def _read_page(self, collection: str, number: int) -> CheckpointPage | None:
        name = _format_page_name(collection, number)
        try:
            content = self._decrypt(name, (self._folder / name).read_bytes())
            length = int.from_bytes(content[:LENGTH], "big")
            head = orjson.loads(content[LENGTH : LENGTH + length])
            frames, start = {}, LENGTH + length
            for stem, size in head["frames"].items():
                frames[stem] = pl.read_ipc_stream(io.BytesIO(content[start : start + size]))
                start += size
            page = PageFacts(**head["page"] | {"digest": bytes.fromhex(head["page"]["digest"])})
            return CheckpointPage(PageRequest(**head["request"]), page, frames)
        except (OSError, InvalidTag, ValueError, KeyError, TypeError, pl.exceptions.PolarsError):
            return None

    def _drop_pages(self, collection: str, start: int) -> None:
        number = start
        with suppress(OSError):
            while (place := self._folder / _format_page_name(collection, number)).exists():
                place.unlink()
                number += 1

    def _encrypt(self, name: str, content: bytes) -> bytes:
        nonce = os.urandom(NONCE)
        return nonce + self._cipher.encrypt(nonce, content, self._build_associated_data(name))

    def _decrypt(self, name: str, ciphertext: bytes) -> bytes:
        return self._cipher.decrypt(ciphertext[:NONCE], ciphertext[NONCE:], self._build_associated_data(name))

    def _build_associated_data(self, name: str) -> bytes:
        return f"{FORMAT}\0{self._folder.name}\0{self._fetch}\0{name}".encode()


@contextmanager
def open_checkpoint(
    settings: CheckpointSettings | None, query_identity: Mapping[str, object], now: Moment
) -> Iterator[Checkpoint | None]:
    """Open the checkpoint of a fetch, with the pages of an earlier fetch that was interrupted.

    Yield None if another process holds it, or nothing can be saved. It stays if the block raises, and is removed
    otherwise. query_identity: everything that decides which pages the server sends, without secrets. now: ISO-8601 UTC.
    """
    if settings is None:
        yield None
        return
    text = orjson.dumps([FORMAT, query_identity], option=orjson.OPT_SORT_KEYS)
    folder = settings.folder / hmac.new(settings.key, text, hashlib.sha256).hexdigest()[:32]
    lock = _lock_folder(folder)
    if lock is None:
        yield None
        return
    try:
        kept = _resume_or_create(folder, settings.key, now)
        yield kept
        if kept is not None:
            kept.remove_checkpoint()
    finally:
        os.close(lock)


def remove_expired_checkpoints(settings: CheckpointSettings, now: Moment) -> None:
    """Remove checkpoints older than `MAX_CHECKPOINT_AGE`, except those of running fetches.

    If a start moment cannot be read, for example because another store's key is needed, the folder's own time counts.
    """
    for folder in _list_folders(settings.folder):
        begun = _read_start_time(folder, settings.key)
        if begun is not None and datetime.fromisoformat(now) - begun >= MAX_CHECKPOINT_AGE:
            _remove_folder(folder)


def remove_all_checkpoints(place: Path) -> None:
    """Remove every checkpoint, whatever its key, except those of running fetches. place: the folder of all of them."""
    for folder in _list_folders(place):
        _remove_folder(folder)


def _list_folders(place: Path) -> tuple[Path, ...]:
    try:
        return tuple(each for each in place.iterdir() if not each.is_symlink() and each.is_dir())
    except OSError:
        return ()


def _read_start_time(folder: Path, key: bytes) -> datetime | None:
    """Return the start of a fetch, or None if its folder no longer exists."""
    head = _read_head(folder, key)
    if head is not None:
        return datetime.fromisoformat(head["begun"])
    try:
        return datetime.fromtimestamp(folder.stat().st_mtime, UTC)
    except OSError:
        return None


def _remove_folder(folder: Path) -> None:
    lock = _lock_folder(folder)
    if lock is not None:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def _lock_folder(folder: Path) -> int | None:
    """Lock the folder until this process ends; None if another process has the lock, or other users have access."""
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


def _resume_or_create(folder: Path, key: bytes, now: Moment) -> Checkpoint | None:
    """Return the checkpoint in the folder if it is recent enough, else a new one."""
    head = _read_head(folder, key)
    if head is not None and timedelta() <= _calculate_age(head, now) < MAX_CHECKPOINT_AGE:
        return Checkpoint(
            folder, key, head["fetch"], Moment(head["begun"]), fresh=_calculate_age(head, now) < FRESH_AGE
        )
    seal, fetch = Checkpoint(folder, key, "", Moment("")), os.urandom(16).hex()
    try:
        for each in folder.iterdir():
            if each.name != LOCK:
                each.unlink()
        _write_file(folder / HEAD, seal._encrypt(HEAD, orjson.dumps({"begun": now, "fetch": fetch})))
    except OSError:
        return None
    return Checkpoint(folder, key, fetch, now)


def _read_head(folder: Path, key: bytes) -> dict[str, str] | None:
    """Return when the saved fetch began (ISO-8601 UTC) and its id, or None if the file is missing or foreign."""
    try:
        sealed = (folder / HEAD).read_bytes()
        head = orjson.loads(Checkpoint(folder, key, "", Moment(""))._decrypt(HEAD, sealed))
        datetime.fromisoformat(head["begun"])
        return {"begun": head["begun"], "fetch": head["fetch"]}
    except (OSError, InvalidTag, ValueError, KeyError, TypeError):
        return None


def _calculate_age(head: Mapping[str, str], now: Moment) -> timedelta:
    return datetime.fromisoformat(now) - datetime.fromisoformat(head["begun"])


def _format_page_name(collection: str, number: int) -> str:
    return f"{collection}-{number:06d}"


def _serialize_frame(frame: pl.DataFrame) -> bytes:
    sink = io.BytesIO()
    frame.write_ipc_stream(sink, compression="zstd")
    return sink.getvalue()


def _has_free_space(folder: Path) -> bool:
    try:
        return shutil.disk_usage(folder).free >= MIN_FREE_BYTES
    except OSError:
        return False


def _write_file(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with open(descriptor, "wb") as stream:
        stream.write(content)
