"""Changing a document without losing a comment: of what goes, the comments stay where it stood."""

from __future__ import annotations

from reconciler.config.canonical.nodes import Entry, Mapping, Node, Scalar, Sequence, comments_in, comments_of


def put(mapping: Mapping, name: str, value: Node) -> None:
    """Sets a key. A value that it had takes its comments inside above the key; those of the key stay."""
    entry = mapping.get(name)
    if entry is None:
        mapping.entries.append(Entry(Scalar(name), value))
    elif entry.value is not value:
        kept = set(comments_in(value))
        entry.above += [line for line in comments_in(entry.value) if line not in kept]
        entry.value = value


def drop(collection: Mapping | Sequence, entry: Entry) -> None:
    """Takes an entry out. Its comments stand above the next one then, or at the foot."""
    place = next(number for number, each in enumerate(collection.entries) if each is entry)
    del collection.entries[place]
    kept = list(comments_of(entry))
    if place < len(collection.entries):
        collection.entries[place].above[:0] = kept
    else:
        collection.foot[:0] = kept
