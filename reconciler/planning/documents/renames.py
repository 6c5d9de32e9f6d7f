"""Finds the documents in the files that the store has under another ID, which `previously` lists.

A document whose ID is in the store already is that one. It is renamed only if the store has it under a former ID alone:
the first one that is active, else the first that was removed, which is then restored. A former ID that another document
in the files has is free only if that one is renamed as well, so IDs can be passed on, even in a circle.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

#: an id of the documents' kind
IdT = TypeVar("IdT", bound=str)


@dataclass(frozen=True, slots=True)
class StoredDocument:
    """A document of the store."""

    #: the former IDs that it was last applied with, which are settled
    previously: Sequence[str] = ()
    tombstoned: bool = False


@dataclass(frozen=True, slots=True)
class DocumentRenames(Generic[IdT]):
    """IDs in the store, by ID in the files."""

    former: Mapping[IdT, IdT] = field(default_factory=dict)
    #: an active document that cannot be this one, because a removed document still has the ID
    conflicts_with_removed: Mapping[IdT, IdT] = field(default_factory=dict)
    #: an active document that no file wants and that is not this one, because an active document has the ID
    conflicts_with_live: Mapping[IdT, IdT] = field(default_factory=dict)
    #: a removed document that a file names newly and that is not this one, because an active document has the ID
    removed_beside_live: Mapping[IdT, IdT] = field(default_factory=dict)


def find_renames(
    wanted: Mapping[IdT, Sequence[IdT]], stored: Mapping[IdT, StoredDocument], other_ids: Collection[IdT] = ()
) -> DocumentRenames[IdT]:
    """Return the renames of one kind and owner.

    `wanted` has the former IDs by ID, in the files' order; `stored` is by ID. `other_ids` are further IDs in the files
    whose former IDs are not known; they keep the documents that the store has under them.
    """
    former_ids = _assign_former_ids(wanted, stored)
    with_removed: dict[IdT, IdT] = {}
    with_live: dict[IdT, IdT] = {}
    while blocked := _find_blocked_ids(former_ids, {*wanted, *other_ids}, stored):
        for name in blocked:
            former = former_ids.pop(name)
            if stored[former].tombstoned or name not in stored or former in wanted or former in other_ids:
                continue
            (with_removed if stored[name].tombstoned else with_live)[name] = former
    return DocumentRenames(former_ids, with_removed, with_live, _find_removed_beside_live(wanted, stored, former_ids))


def list_former_ids(document: Mapping[str, object]) -> tuple[str, ...]:
    """Return the IDs that a document lists under `previously`."""
    listed = document.get("previously")
    return tuple(map(str, listed)) if isinstance(listed, list | tuple) else ()


def order_by_freed_ids(names: Sequence[IdT], former: Mapping[IdT, IdT]) -> list[IdT]:
    """Return `names` in their order, but with the document that gives up an ID before the one that takes it; in a
    circle of IDs, none is first. `former` is `DocumentRenames.former`."""
    freed_by = {old: new for new, old in former.items()}
    known = set(names)
    placed: dict[IdT, None] = {}
    for name in names:
        waiting: dict[IdT, None] = {}
        step: IdT | None = name
        while step is not None and step in known and step not in placed and step not in waiting:
            waiting[step] = None
            step = freed_by.get(step) if step in former else None
        placed |= dict.fromkeys(reversed(waiting))
    return list(placed)


def _assign_former_ids(wanted: Mapping[IdT, Sequence[IdT]], stored: Mapping[IdT, StoredDocument]) -> dict[IdT, IdT]:
    """Return for every document the first former ID that it may have had, blocked or not."""
    former_ids: dict[IdT, IdT] = {}
    for name, previously in sorted(wanted.items()):
        current = stored.get(name)
        settled = current.previously if current is not None and not current.tombstoned else ()
        known = [
            each
            for each in previously
            if each in stored and each != name and each not in settled and each not in former_ids.values()
        ]
        live = [each for each in known if not stored[each].tombstoned]
        # A removed document is restored under another ID only if no stored document has that ID.
        chosen = next(iter(live or (known if current is None else ())), None)
        if chosen is not None:
            former_ids[name] = chosen
    return former_ids


def _find_removed_beside_live(
    wanted: Mapping[IdT, Sequence[IdT]], stored: Mapping[IdT, StoredDocument], former_ids: Mapping[IdT, IdT]
) -> dict[IdT, IdT]:
    """Return the first removed document of each document that is active itself and never listed that ID before."""
    found: dict[IdT, IdT] = {}
    for name, previously in sorted(wanted.items()):
        current = stored.get(name)
        if current is None or current.tombstoned or name in former_ids:
            continue
        gone = [
            each
            for each in previously
            if each in stored and stored[each].tombstoned and each not in (*current.previously, *wanted, name)
        ]
        found |= dict.fromkeys([name] if gone else [], next(iter(gone), name))
    return found


def _find_blocked_ids(
    former_ids: Mapping[IdT, IdT], wanted: Collection[IdT], stored: Mapping[IdT, StoredDocument]
) -> list[IdT]:
    """Return the documents whose ID another stored document keeps, or whose former ID another file keeps."""
    leaving = set(former_ids.values())
    return [
        name
        for name, former in former_ids.items()
        if (name in stored and name not in leaving) or (former in wanted and former not in former_ids)
    ]
