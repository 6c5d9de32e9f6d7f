"""The CSV bundle that an API's pages become: files that grow page by page, packed at the end.

The same pages give the same bytes: the standard's columns in its order, rows as they came, no time of its own.
"""

from __future__ import annotations

import io
import shutil
import tempfile
import zipfile
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from typing import IO, BinaryIO, cast

import polars as pl

from reconciler.model.diagnostic import Diagnostic, Refusal, build_error
from reconciler.oneroster.archive.archive import MOST_BYTES
from reconciler.oneroster.archive.manifest import FILE as MANIFEST_FILE
from reconciler.oneroster.standard.tables import STANDARDS

#: ZIP knows no time before it, and the reader takes it for none.
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

    def __enter__(self) -> BundleWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def begin_files(self, stems: Iterable[str]) -> None:
        """Files with a header and no rows; one that was begun before is begun anew."""
        for stem in stems:
            file = self._files.get(stem)
            if file is None:
                file = self._open.enter_context(cast(IO[bytes], tempfile.TemporaryFile()))  # noqa: SIM115
                self._files[stem] = file
            file.seek(0)
            file.truncate()
            file.write((",".join(self._list_columns(stem)) + "\n").encode())

    def discard_files(self, stems: Iterable[str]) -> None:
        """Files that were begun and that the bundle is not to have."""
        for stem in stems:
            file = self._files.pop(stem, None)
            if file is not None:
                file.close()

    def add_rows(self, frames: Mapping[str, pl.DataFrame]) -> None:
        """Rows of files that were begun, by stem. What a frame does not have stays empty.

        Raises Refusal `roster-too-large` where the bundle would have more bytes than its reader takes."""
        for stem, frame in frames.items():
            there = frame.select_seq(self._select_column(name, frame) for name in self._list_columns(stem))
            sink = io.BytesIO()
            there.write_csv(sink, include_header=False)
            if sum(file.tell() for file in self._files.values()) + sink.tell() > MOST_BYTES:
                raise Refusal([_make_too_large_error(stem)])
            self._files[stem].write(sink.getbuffer())

    def pack_bundle(self) -> BinaryIO:
        """The bundle, at its start, in a file that has no name; it is the caller's to close."""
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
        """The file itself is not needed any more, and gives its room back."""
        with self._files.pop(stem) as file:
            file.seek(0)
            with archive.open(_make_zip_entry(f"{stem}.csv"), "w", force_zip64=True) as member:
                shutil.copyfileobj(file, member, COPY_BUFFER_BYTES)

    def _select_column(self, name: str, frame: pl.DataFrame) -> pl.Expr:
        """The standard wants no status in a bulk file; one that deletes is told all the same."""
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
        f"more than {MOST_BYTES // 1024**3} GiB came, the last of it {stem}; a roster has at most that",
        hint="Ask the server's owner: it may send the same rows under new ids without end.",
    )


def _make_zip_entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, ZIP_EPOCH)
    entry.create_system = 3  # else the platform's own, and other bytes elsewhere
    entry.external_attr = 0o600 << 16
    return entry
