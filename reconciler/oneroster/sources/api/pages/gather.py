"""Reads all collections of one roster into a bundle, in the order in which they refer to each other."""

from collections.abc import Iterable, Mapping
from typing import BinaryIO
from urllib.parse import quote

from reconciler.model.diagnostic import Diagnostic, Refusal, build_error, build_info
from reconciler.oneroster.sources.api.bundle_writer import BundleWriter
from reconciler.oneroster.sources.api.delta import ChangeCounts, DeltaWindow, PresentRows, explain_full_fetch
from reconciler.oneroster.sources.api.http.urls import SINGLE_RECORD_MARK
from reconciler.oneroster.sources.api.pages.collect import (
    NOT_FOUND,
    CollectionReader,
    DeltaRowSink,
    FullRowSink,
    RowSink,
)
from reconciler.oneroster.sources.api.pages.facts import parse_total_rows
from reconciler.oneroster.sources.api.pages.seen_keys import MAX_SINGLE_REQUESTS, KeyTally, MissingParents
from reconciler.oneroster.sources.api.records.collections import COLLECTIONS, Collection
from reconciler.oneroster.sources.api.records.envelope import read_page, read_record
from reconciler.oneroster.sources.interface import PreviousRoster

#: Codes of failed requests for one record that prove nothing: a server may not support such requests.
RECORD_FAILURE_CODES = frozenset(
    {
        "bad-request",
        "empty-answer",
        "forbidden",
        "malformed-page",
        "not-json",
        "server-error",
        "unexpected-status",
        "wrong-envelope",
    }
)
#: Without rows of these collections, nothing can be compared.
NEVER_EMPTY = ("orgs", "users")
#: Collections of which a delta must not lose a row.
COUNTED = ("orgs", "classes", "users", "enrollments")


class ApiRosterReader:
    """Reads one roster from one server. version: of OneRoster. earlier: facts of the last good roster."""

    def __init__(self, reader: CollectionReader, version: str, earlier: PreviousRoster) -> None:
        self._how = reader
        self._version = version
        self._earlier = earlier
        self.notes = reader.diagnostics

    def read_full_roster(self) -> BinaryIO:
        """Return the bundle of the full roster. Raises Refusal."""
        with BundleWriter(self._version) as writer:
            tallies: dict[str, KeyTally] = {}
            missing = MissingParents(tallies)
            for collection in COLLECTIONS[self._version]:
                looks = missing if collection.name == "enrollments" else None
                tally = self._read_collection(collection, writer, FullRowSink(collection, writer, looks))
                if tally is not None:
                    tallies[collection.name] = tally
            self._refuse_empty_collections(tallies)
            self._read_missing_parents(writer, missing, tallies)
            return writer.pack_bundle()

    def read_changes(self, window: DeltaWindow) -> BinaryIO | str:
        """Return the bundle of changes, or the reason to fetch the full roster. Raises Refusal."""
        with BundleWriter(self._version, delta=True) as writer:
            changes: dict[str, ChangeCounts] = {}
            for collection in COLLECTIONS[self._version]:
                intake = DeltaRowSink(collection, writer, window)
                self._read_collection(collection, writer, intake, window.filter)
                if collection.name in COUNTED:
                    changes[collection.name] = intake.changes
            counted = [each for each in COLLECTIONS[self._version] if each.name in COUNTED]
            present = {each.name: self._request_first_row(each) for each in counted}
            why = explain_full_fetch(changes, self._earlier.rows, present, window)
            return why if why is not None else writer.pack_bundle()

    def _read_collection(
        self, collection: Collection, writer: BundleWriter, sink: RowSink, filter: str | None = None
    ) -> KeyTally | None:
        """Read a collection; return None if the server does not have it and did not have it before."""
        try:
            return self._how.read_collection(collection, sink, filter)
        except Refusal as refusal:
            if refusal.diagnostics[0].code != NOT_FOUND:
                raise
            if self._earlier.rows.get(collection.name):
                raise Refusal([*refusal.diagnostics, _make_collection_gone_error(collection)]) from refusal
            if collection.required:
                raise
        writer.discard_files(collection.files)
        self.notes.append(build_info("no-collection", f"the server has no {collection.name}, which are optional"))
        return None

    def _refuse_empty_collections(self, tallies: dict[str, KeyTally]) -> None:
        empty = [name for name in NEVER_EMPTY if not tallies[name].rows]
        if empty:
            raise Refusal([_make_empty_collection_error(name) for name in empty])

    def _read_missing_parents(
        self, writer: BundleWriter, missing: MissingParents, tallies: Mapping[str, KeyTally]
    ) -> None:
        """Request parents that were created after their collection was read and before enrollments were.

        The reader judges the rows whose parents are still missing."""
        collections = {collection.name: collection for collection in COLLECTIONS[self._version]}
        for name, keys in missing.collect_keys().items():
            if not keys:
                continue
            if len(keys) > MAX_SINGLE_REQUESTS:
                self._read_collection_again(collections[name], writer, tallies[name].rows)
                found = f"{name} were read again, because enrollments name more than {MAX_SINGLE_REQUESTS} unknown ones"
            else:
                came = self._read_single_records(collections[name], sorted(keys), writer)
                found = f"{came:,} of {len(keys):,} {name} that only enrollments name were found by single requests"
            self.notes.append(build_info("parents-asked-again", found))

    def _read_collection_again(self, collection: Collection, writer: BundleWriter, previous_rows: int) -> None:
        """Read a collection a second time. Raises Refusal if it has fewer rows than before."""
        if self._how.checkpoint is not None:
            self._how.checkpoint.forget_collection(collection.name)
        now = self._how.read_collection(collection, FullRowSink(collection, writer)).rows
        if now < previous_rows:
            raise Refusal([_make_fewer_rows_error(collection.name, previous_rows, now)])

    def _read_single_records(self, collection: Collection, keys: Iterable[str], writer: BundleWriter) -> int:
        """Fetch missing parents one by one; return their number. Stop if the server does not support such requests."""
        came = 0
        for key in keys:
            try:
                came += self._read_single_record(collection, key, writer)
            except Refusal as refusal:
                code = refusal.diagnostics[0].code
                if code not in RECORD_FAILURE_CODES:
                    raise
                self.notes.append(
                    build_info("no-single-records", f"{collection.name} cannot be requested one by one ({code})")
                )
                break
        return came

    def _read_single_record(self, collection: Collection, key: str, writer: BundleWriter) -> bool:
        try:
            answer = self._how.api_client.get(f"{collection.path}/{quote(key, safe='')}", {})
        except Refusal as refusal:
            if refusal.diagnostics[0].code != NOT_FOUND:
                raise
            return False
        frames = read_record(answer.body, collection, f"{collection.path}{SINGLE_RECORD_MARK}")
        if frames[collection.name]["sourcedId"].to_list() != [key]:
            return False
        writer.add_rows(frames)
        return True

    def _request_first_row(self, collection: Collection) -> PresentRows:
        """Request one row of a collection without a filter, to learn what the key sees now."""
        answer = self._how.api_client.get(collection.path, {"limit": "1", "offset": "0"})
        rows = read_page(answer.body, collection, answer.address)[collection.name]
        return PresentRows(parse_total_rows(answer.headers), visible=rows.height > 0)


def _make_collection_gone_error(collection: Collection) -> Diagnostic:
    return build_error(
        "collection-gone",
        f"the last roster had {collection.name}, but the server no longer has that collection",
        hint="Nothing was compared. Ask the server's owner whether the module was switched off.",
    )


def _make_fewer_rows_error(name: str, before: int, now: int) -> Diagnostic:
    return build_error(
        "incomplete-collection",
        f"{name}: {before:,} rows arrived at first, but only {now:,} when requested again",
        hint="Nothing was compared, because the server did not send everything. The next fetch tries again.",
    )


def _make_empty_collection_error(name: str) -> Diagnostic:
    return build_error(
        "empty-collection",
        f"the server has no rows of {name}",
        hint="A roster requires them. Check the key's permissions, or ask the server's owner.",
    )
