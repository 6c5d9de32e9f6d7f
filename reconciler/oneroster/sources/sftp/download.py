"""Downloads remote files completely, even if the connection breaks, and checks them against their digests."""

import hashlib
import shutil
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import IO, BinaryIO, cast

from paramiko import SFTPClient

from reconciler.model.diagnostic import Refusal
from reconciler.oneroster.sources.interface import FetchProgress, ProgressCallback
from reconciler.oneroster.sources.sftp import messages as remarks
from reconciler.oneroster.sources.sftp.find import extract_file_facts
from reconciler.oneroster.sources.sftp.listing import FileFacts
from reconciler.oneroster.sources.sftp.messages import sanitize_name
from reconciler.oneroster.sources.sftp.session import SftpSession
from reconciler.oneroster.sources.sftp.target import FileChangedError, RemoteFile, RemoteRoster
from reconciler.oneroster.sources.sftp.wire import get_handle, open_file, read_blocks, read_open_file_attributes

#: Time between two progress reports.
STEP_EVERY = timedelta(milliseconds=100)


def is_unchanged(before: FileFacts, now: FileFacts | None) -> bool:
    """Return whether the remote file still has the same size and time."""
    return before == now


def download_file(
    line: SftpSession, file: RemoteFile, write: Callable[[bytes], object], progress: "DownloadProgress"
) -> None:
    """Download a file into `write`, which must not raise OSError.

    Raises FileChangedError if the file was replaced meanwhile, so that the written bytes are useless, and Refusal.
    """
    done = 0

    def rest(client: SFTPClient) -> None:
        nonlocal done
        try:
            remote = open_file(client, file.path)
        except (FileNotFoundError, PermissionError):
            raise FileChangedError(file.name) from None
        if not is_unchanged(
            file.facts, extract_file_facts(read_open_file_attributes(client, remote, file.path), file.name)
        ):
            raise FileChangedError(file.name)
        for block in read_blocks(client, get_handle(remote), done, file.facts.size):
            write(block)
            done += len(block)
            progress.report_bytes(done)
        if done < file.facts.size:
            raise FileChangedError(file.name)
        remote.close()

    line.run_operation(rest)
    progress.report_end()


class DownloadProgress:
    """Reports the progress of one file, at most about ten times a second."""

    def __init__(self, progress: ProgressCallback, file: RemoteFile, clock: Callable[[], float]) -> None:
        self._progress = progress
        self._file = file
        self._clock = clock
        self._next = 0.0
        self._reported = -1

    def report_bytes(self, done: int) -> None:
        """Report how many bytes have arrived."""
        now = self._clock()
        if self._reported < 0 or now >= self._next:
            self._next = now + STEP_EVERY.total_seconds()
            self._report_progress(done)

    def report_end(self) -> None:
        if self._reported != self._file.facts.size:
            self._report_progress(self._file.facts.size)

    def _report_progress(self, done: int) -> None:
        self._reported = done
        self._progress(FetchProgress(sanitize_name(self._file.name), done, self._file.facts.size, "bytes"))


# A fetched roster is written to a file without a name, and checked against the sender's digests.

LOCAL_HEADER = b"PK\x03\x04"
#: The range of a ZIP member's time (APPNOTE 4.4.6), in seconds since 1970.
EARLIEST, LATEST = 315_532_800, 4_354_819_198

#: Bytes to write to disk at once.
BUFFER = 1024**2

BlockWriter = Callable[[bytes], object]
#: Passes the bytes of one file to a BlockWriter.
FileDownloader = Callable[[RemoteFile, BlockWriter], None]


def download_bundle(target: RemoteRoster, download: FileDownloader) -> BinaryIO:
    """Return the ZIP file unchanged, or the CSV files of a folder packed into one; the stream is at its start.

    The same files give the same bytes. Raises Refusal `disk-full`, `digest-differs`, `still-being-uploaded`, and as
    `download`.
    """
    if shutil.disk_usage(tempfile.gettempdir()).free < target.size:
        raise Refusal([remarks.make_disk_full_error(target.size)])
    with catch_disk_full(target):
        stream = cast(BinaryIO, tempfile.TemporaryFile(buffering=BUFFER))  # noqa: SIM115 - the caller closes it
    try:
        with catch_disk_full(target):
            if target.is_folder:
                _pack_files(target, download, stream)
            else:
                _download_and_verify(target, target.files[0], download, stream.write)
            stream.flush()
        if not target.is_folder and not has_end_record(stream):
            raise Refusal(
                [remarks.make_still_uploading_error(target.path, "it begins like a ZIP archive but has no end yet")]
            )
        stream.seek(0)
    except BaseException:
        stream.close()
        raise
    return stream


def has_end_record(stream: BinaryIO) -> bool:
    """Return whether a ZIP has its end record (APPNOTE 4.3.16); the reader judges files that aren't ZIPs."""
    stream.seek(0)
    return stream.read(len(LOCAL_HEADER)) != LOCAL_HEADER or zipfile.is_zipfile(cast(IO[bytes], stream))


@contextmanager
def catch_disk_full(target: RemoteRoster) -> Iterator[None]:
    """Turn an OSError into Refusal `disk-full`. An SftpSession raises none, so the error is the disk's."""
    try:
        yield
    except OSError as problem:
        raise Refusal([remarks.make_disk_full_error(target.size)]) from problem


def _download_and_verify(target: RemoteRoster, file: RemoteFile, download: FileDownloader, write: BlockWriter) -> None:
    wanted = target.digests.get(file.name)
    digest = hashlib.sha256()

    def written(block: bytes) -> None:
        with catch_disk_full(target):
            write(block)
        if wanted is not None:
            digest.update(block)

    download(file, written)
    if wanted is not None and digest.hexdigest() != wanted:
        raise Refusal([remarks.make_digest_differs_error(file.name, ".sha256")])


def _pack_files(target: RemoteRoster, download: FileDownloader, stream: BinaryIO) -> None:
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
        for file in target.files:
            # A name that is not UTF-8 becomes one that no OneRoster file has.
            name = file.name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
            moment = time.gmtime(min(max(file.facts.mtime, EARLIEST), LATEST))
            entry = zipfile.ZipInfo(name, moment[:6])
            entry.create_system, entry.external_attr = 3, 0o100600 << 16
            entry.file_size = file.facts.size
            with archive.open(entry, "w") as member:
                _download_and_verify(target, file, download, member.write)
