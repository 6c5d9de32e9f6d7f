"""All collections of one roster, read in the order in which they refer to each other, into a bundle."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import BinaryIO
from urllib.parse import quote

from reconciler.model.diagnostic import Diagnostic, Refusal, error, info
from reconciler.oneroster.sources.api.bundle_writer import BundleWriter
from reconciler.oneroster.sources.api.delta import Changes, Since, unexplained
from reconciler.oneroster.sources.api.http.urls import SINGLE
from reconciler.oneroster.sources.api.pages.collect import Collecting, Everything, Intake, OnlyChanged
from reconciler.oneroster.sources.api.pages.facts import total_rows
from reconciler.oneroster.sources.api.pages.seen_keys import MOST_SINGLE, Missing, Tally
from reconciler.oneroster.sources.api.records.collections import COLLECTIONS, Collection
from reconciler.oneroster.sources.api.records.envelope import read_record
from reconciler.oneroster.sources.interface import Earlier

NOT_FOUND = "not-found"
#: Answers to the question for one record that say nothing of the roster: a server may not know such questions.
NO_RECORD = frozenset(
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
#: Without a single row of these there is nothing that could be compared.
NEVER_EMPTY = ("orgs", "users")
#: Of which it matters that none is lost in a delta.
COUNTED = ("orgs", "classes", "users", "enrollments")


class Gathering:
    """One roster of one server. version: of OneRoster. earlier: of the last good one."""

    def __init__(self, how: Collecting, version: str, earlier: Earlier) -> None:
        self._how = how
        self._version = version
        self._earlier = earlier
        self.notes = how.notes

    def whole(self) -> BinaryIO:
        """The bundle of everything. Raises Refusal."""
        with BundleWriter(self._version) as writer:
            tallies: dict[str, Tally] = {}
            missing = Missing(tallies)
            for collection in COLLECTIONS[self._version]:
                looks = missing if collection.name == "enrollments" else None
                tally = self._collect(collection, writer, Everything(collection, writer, looks))
                if tally is not None:
                    tallies[collection.name] = tally
            self._refuse_empty(tallies)
            self._complete(writer, missing, tallies)
            return writer.pack()

    def changes(self, since: Since) -> BinaryIO | str:
        """The bundle of what changed, or why the whole has to be fetched. Raises Refusal."""
        with BundleWriter(self._version, delta=True) as writer:
            changes: dict[str, Changes] = {}
            for collection in COLLECTIONS[self._version]:
                intake = OnlyChanged(collection, writer, since)
                self._collect(collection, writer, intake, since.filter)
                if collection.name in COUNTED:
                    changes[collection.name] = intake.changes
            totals = {name: self._total(name) for name in COUNTED}
            why = unexplained(changes, self._earlier.rows, totals, since)
            return why if why is not None else writer.pack()

    def _collect(
        self, collection: Collection, writer: BundleWriter, intake: Intake, filter: str | None = None
    ) -> Tally | None:
        """None where the server does not have the collection, and never had it."""
        try:
            return self._how.collect(collection, intake, filter)
        except Refusal as refusal:
            if refusal.diagnostics[0].code != NOT_FOUND:
                raise
            if self._earlier.rows.get(collection.name):
                raise Refusal([*refusal.diagnostics, _gone(collection)]) from refusal
            if collection.required:
                raise
        writer.leave_out(collection.files)
        self.notes.append(info("no-collection", f"the server has no {collection.name}; a roster can do without"))
        return None

    def _refuse_empty(self, tallies: dict[str, Tally]) -> None:
        empty = [name for name in NEVER_EMPTY if not tallies[name].rows]
        if empty:
            raise Refusal([_empty(name) for name in empty])

    def _complete(self, writer: BundleWriter, missing: Missing, tallies: Mapping[str, Tally]) -> None:
        """Parents that came into being after their collection was read and before enrollments were: asked for again.
        What then is missing still is a matter of the rows that name it, and the reader's to judge."""
        collections = {collection.name: collection for collection in COLLECTIONS[self._version]}
        for name, keys in missing.keys().items():
            if not keys:
                continue
            if len(keys) > MOST_SINGLE:
                self._again(collections[name], writer, tallies[name].rows)
                found = f"{name} were read again, more than {MOST_SINGLE} of them are named in enrollments alone"
            else:
                came = self._one_by_one(collections[name], sorted(keys), writer)
                found = f"{came:,} of {len(keys):,} {name} that only enrollments name were found when asked for"
            self.notes.append(info("parents-asked-again", found))

    def _again(self, collection: Collection, writer: BundleWriter, before: int) -> None:
        """before: rows of the first reading. One that has fewer is no better than it."""
        if self._how.kept is not None:
            self._how.kept.forget(collection.name)
        now = self._how.collect(collection, Everything(collection, writer)).rows
        if now < before:
            raise Refusal([_fewer(collection.name, before, now)])

    def _one_by_one(self, collection: Collection, keys: Iterable[str], writer: BundleWriter) -> int:
        """How many came. A server that cannot answer such a question is not asked it again."""
        came = 0
        for key in keys:
            try:
                came += self._single(collection, key, writer)
            except Refusal as refusal:
                code = refusal.diagnostics[0].code
                if code not in NO_RECORD:
                    raise
                self.notes.append(
                    info("no-single-records", f"{collection.name} cannot be asked for one by one ({code})")
                )
                break
        return came

    def _single(self, collection: Collection, key: str, writer: BundleWriter) -> bool:
        try:
            answer = self._how.asking.get(f"{collection.path}/{quote(key, safe='')}", {})
        except Refusal as refusal:
            if refusal.diagnostics[0].code != NOT_FOUND:
                raise
            return False
        frames = read_record(answer.body, collection, f"{collection.path}{SINGLE}")
        if frames[collection.name]["sourcedId"].to_list() != [key]:
            return False
        writer.add(frames)
        return True

    def _total(self, name: str) -> int | None:
        """How many rows a collection has now."""
        return total_rows(self._how.asking.get(f"/{name}", {"limit": "1", "offset": "0"}).headers)


def _gone(collection: Collection) -> Diagnostic:
    return error(
        "collection-gone",
        f"the last roster had {collection.name}, and now the server has none: was its module switched off?",
        hint="nothing is compared, so nobody is removed; ask whoever runs the server",
    )


def _fewer(name: str, before: int, now: int) -> Diagnostic:
    return error(
        "incomplete-collection",
        f"{name}: {before:,} rows came at first, and {now:,} when they were asked for again",
        hint="the server did not give everything, so nothing can be compared; the next fetch tries again",
    )


def _empty(name: str) -> Diagnostic:
    return error(
        "empty-collection",
        f"the server has not a single row of {name}",
        hint="a roster without them is no roster; check the permissions of the key, or ask whoever runs the server",
    )
