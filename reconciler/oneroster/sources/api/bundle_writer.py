"""Writes an API's pages as a CSV bundle: files that grow page by page and are packed at the end.

The same pages give the same bytes: the standard's columns in its order, rows in the server's order, no timestamps.
"""

import io
import shutil
import tempfile
import zipfile
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from typing import IO, BinaryIO, Self, cast

import polars as pl

from reconciler.model.diagnostic import Diagnostic, Refusal, build_error
from reconciler.oneroster.archive.archive import MOST_BYTES
from reconciler.oneroster.archive.manifest import FILE as MANIFEST_FILE
from reconciler.oneroster.standard.tables import STANDARDS

#: The earliest time that a ZIP can hold; the reader treats it as no time.
ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)
COPY_BUFFER_BYTES = 1024**2


class BundleWriter:
    """Writes pages as a OneRoster CSV bundle.

    Nothing is compressed: the fastest level would take half as long as parsing the pages, and the bundle is read back
    at once. Every file grows in a temporary file without a name, so a killed fetch leaves nothing behind.
    """

    def __init__(self, version: str, *, delta: bool = False) -> None:
        self._version = version
        self._delta = delta
        self._open = ExitStack()
        self._files: dict[str, IO[bytes]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def begin_files(self, stems: Iterable[str]) -> None:
        """Start files with a header and no rows; discard the rows of files that were started before."""
        for stem in stems:
            file = self._files.get(stem)
            if file is None:
                file = self._open.enter_context(cast(IO[bytes], tempfile.TemporaryFile()))  # noqa: SIM115
                self._files[stem] = file
            file.seek(0)
            file.truncate()
            file.write((",".join(self._list_columns(stem)) + "\n").encode())

    def discard_files(self, stems: Iterable[str]) -> None:
        """Remove started files from the bundle."""
        for stem in stems:
            file = self._files.pop(stem, None)
            if file is not None:
                file.close()

    def add_rows(self, frames: Mapping[str, pl.DataFrame]) -> None:
        """Append rows to started files, by stem; columns that a frame lacks stay empty.

        Raises Refusal `roster-too-large` if the bundle would have more bytes than its reader accepts."""
        for stem, frame in frames.items():
            there = frame.select_seq(self._select_column(name, frame) for name in self._list_columns(stem))
            sink = io.BytesIO()
            there.write_csv(sink, include_header=False)
            if sum(file.tell() for file in self._files.values()) + sink.tell() > MOST_BYTES:
                raise Refusal([_make_too_large_error(stem)])
            self._files[stem].write(sink.getbuffer())

    def pack_bundle(self) -> BinaryIO:
        """Return the bundle, at its start, in a file without a name, which the caller closes."""
        packed = tempfile.TemporaryFile()  # noqa: SIM115
        try:
            with zipfile.ZipFile(packed, "w") as archive:
                archive.writestr(_make_zip_entry(MANIFEST_FILE), self._build_manifest())
                for stem in STANDARDS[self._version].tables:
                    if stem in self._files:
                        self._pack_file(archive, stem)
            packed.seek(0)
        except BaseException:
            packed.close()
            raise
        return cast(BinaryIO, packed)

    def _pack_file(self, archive: zipfile.ZipFile, stem: str) -> None:
        """Move the file into the archive, and free its disk space."""
        with self._files.pop(stem) as file:
            file.seek(0)
            with archive.open(_make_zip_entry(f"{stem}.csv"), "w", force_zip64=True) as member:
                shutil.copyfileobj(file, member, COPY_BUFFER_BYTES)

    def _select_column(self, name: str, frame: pl.DataFrame) -> pl.Expr:
        """Return the column. In a bulk file, where status must be blank, keep only one that deletes."""
        if name not in frame.columns:
            return pl.lit(None, dtype=pl.String).alias(name)
        if name == "status" and not self._delta:
            return pl.when(pl.col(name).str.to_lowercase() != "active").then(name).alias(name)
        return pl.col(name)

    def _list_columns(self, stem: str) -> tuple[str, ...]:
        return tuple(column.name for column in STANDARDS[self._version].tables[stem].columns)

    def _build_manifest(self) -> str:
        mode = "delta" if self._delta else "bulk"
        lines = ["propertyName,value", "manifest.version,1.0", f"oneroster.version,{self._version}"]
        lines += [
            f"file.{stem},{mode if stem in self._files else 'absent'}" for stem in STANDARDS[self._version].tables
        ]
        return "".join(f"{line}\n" for line in lines)


def _make_too_large_error(stem: str) -> Diagnostic:
    return build_error(
        "roster-too-large",
        f"the server sent more than {MOST_BYTES // 1024**3} GiB, the last part of it {stem}; a roster has at most that",
        hint="Ask the server's owner: the server may repeat the same rows under new ids without end.",
    )


def _make_zip_entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, ZIP_EPOCH)
    entry.create_system = 3  # the default depends on the platform, and so would the bytes
    entry.external_attr = 0o600 << 16
    return entry
