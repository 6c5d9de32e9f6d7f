"""Which document in the files is one of the store under another id: `previously` says what it was called.

A document that has its id in the store already is that one. Only where the store has it under a former id alone is it
renamed: the first former id that is live, else the first that was removed, which then comes back. A former id that a
document of the files has itself is free only where that one is renamed as well: so ids can be passed on, and round.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class StoredDocument:
    """A document of the store. previously: the former ids that it was applied with: these are settled."""

    previously: Sequence[str] = ()
    tombstoned: bool = False


@dataclass(frozen=True, slots=True)
class DocumentRenames:
    """By id in the files. former: its id in the store. barred: a live document that it cannot be, since a removed one
    has the id still. passed_over: a live document that it is not, since a live one has the id, and that nobody
    wants."""

    former: Mapping[str, str] = field(default_factory=dict)
    conflicts_with_removed: Mapping[str, str] = field(default_factory=dict)
    conflicts_with_live: Mapping[str, str] = field(default_factory=dict)


def find_renames(
    wanted: Mapping[str, Sequence[str]], stored: Mapping[str, StoredDocument], other_ids: Collection[str] = ()
) -> DocumentRenames:
    """Of one kind and one owner. wanted: former ids by id, in the files' order. stored: by id. others: ids that the
    files have too, and whose former ids are not known; they keep what the store has under them."""
    found = _assign_former_ids(wanted, stored)
    barred: dict[str, str] = {}
    passed_over: dict[str, str] = {}
    while lost := _find_blocked_ids(found, {*wanted, *other_ids}, stored):
        for name in lost:
            former = found.pop(name)
            if stored[former].tombstoned or name not in stored or former in wanted or former in other_ids:
                continue
            (barred if stored[name].tombstoned else passed_over)[name] = former
    return DocumentRenames(found, barred, passed_over)


def list_former_ids(document: Mapping[str, object]) -> tuple[str, ...]:
    """What a document says under `previously`."""
    listed = document.get("previously")
    return tuple(map(str, listed)) if isinstance(listed, list | tuple) else ()


def order_by_freed_ids(names: Sequence[str], former: Mapping[str, str]) -> list[str]:
    """`names` in their order, but whoever gives up an id before whoever takes it. former: as `Renames` has it. Where
    ids go round, nobody is first."""
    freed_by = {old: new for new, old in former.items()}
    known = set(names)
    placed: dict[str, None] = {}
    for name in names:
        waiting: dict[str, None] = {}
        step: str | None = name
        while step is not None and step in known and step not in placed and step not in waiting:
            waiting[step] = None
            step = freed_by.get(step) if step in former else None
        placed |= dict.fromkeys(reversed(waiting))
    return list(placed)


def _assign_former_ids(wanted: Mapping[str, Sequence[str]], stored: Mapping[str, StoredDocument]) -> dict[str, str]:
    """Every document with the first former id that it may have had, whether there is place for it or not."""
    found: dict[str, str] = {}
    for name, previously in sorted(wanted.items()):
        here = stored.get(name)
        settled = here.previously if here is not None and not here.tombstoned else ()
        known = [
            each
            for each in previously
            if each in stored and each != name and each not in settled and each not in found.values()
        ]
        live = [each for each in known if not stored[each].tombstoned]
        # What was removed comes back under another id only where nothing has that.
        chosen = next(iter(live or (known if here is None else ())), None)
        if chosen is not None:
            found[name] = chosen
    return found


def _find_blocked_ids(
    found: Mapping[str, str], wanted: Collection[str], stored: Mapping[str, StoredDocument]
) -> list[str]:
    """Whose id is another's still, or whose former id is to be another's that is not renamed itself."""
    leaving = set(found.values())
    return [
        name
        for name, former in found.items()
        if (name in stored and name not in leaving) or (former in wanted and former not in found)
    ]
