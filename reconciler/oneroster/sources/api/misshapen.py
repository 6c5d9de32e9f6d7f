"""Pages whose rows have another shape than the standard's: brought into it where what they mean is clear.

The only place where a row of an API becomes a Python object: a page comes here after polars has refused it, and every
page of a server that is as it should be passes by. A reference may be its sourcedId alone, a list with one item that
item alone. A value that is nothing of what its property can be is taken out together with all that its row says, but
for what it may be known by: the reader sets such a row aside, and it protects whom it names.
"""

from __future__ import annotations

from typing import Any

import orjson

from reconciler.model.diagnostic import Diagnostic, Refusal, error
from reconciler.oneroster.sources.api.collections import Cell, Collection

#: So many rows of a page are the rows' fault; more are the server's.
MOST_MISSHAPEN = 10
MOST_MISSHAPEN_SHARE = 0.01
#: By what a row may be known that says nothing else.
KNOWN_BY = ("sourcedId", "identifier", "email", "username")
SCALARS = (str, int, float, bool)


class _StrangeError(Exception):
    """A value that its property cannot have. Carries the property's name."""


def reshaped(body: bytes, collection: Collection, address: str) -> bytes:
    """The page with every row in the standard's shape, under the standard's key.

    Raises Refusal: `malformed-page`, `wrong-envelope`."""
    page = _loaded(body, collection, address)
    lists = [page[key] for key in collection.keys if page.get(key) is not None]
    if len(lists) != 1 or not isinstance(lists[0], list):
        raise Refusal([wrong_envelope(body, collection, address)])
    rows, strange = [], []
    for place, row in enumerate(lists[0], start=1):
        try:
            rows.append(_row(row, collection))
        except _StrangeError as found:
            strange.append((place, str(found)))
            rows.append(_remains(row))
    empty = next((place for (place, _) in strange if not rows[place - 1]), None)
    if empty or len(strange) > max(MOST_MISSHAPEN, len(rows) * MOST_MISSHAPEN_SHARE):
        place, name = (empty, "the row") if empty else strange[0]
        raise Refusal([_malformed(f"row {place:,} of the page: {name} is not what it can be", collection, address)])
    return orjson.dumps({collection.keys[0]: rows})


def as_page(body: bytes, collection: Collection, address: str) -> bytes:
    """One record in its own envelope, `{"user": {...}}`, as a page with one row. Raises Refusal `wrong-envelope`."""
    page = _loaded(body, collection, address)
    found = [page[key] for key in collection.single if isinstance(page.get(key), dict)]
    if len(found) != 1:
        raise Refusal([wrong_envelope(body, collection, address)])
    return orjson.dumps({collection.keys[0]: found})


def wrong_envelope(body: bytes, collection: Collection, address: str) -> Diagnostic:
    """A page without the list that it is asked for."""
    try:
        page = orjson.loads(body)
    except orjson.JSONDecodeError:
        return _malformed("it is no JSON", collection, address)
    if not isinstance(page, dict):
        what = "a list without an envelope" if isinstance(page, list) else "no object"
    elif found := [key for key in collection.keys if key in page]:
        what = f"{found[0]} is {_kind(page[found[0]])}" if len(found) == 1 else f"both {' and '.join(found)} are there"
    else:
        names = ", ".join("".join(c if c.isprintable() else "?" for c in key[:40]) for key in list(page)[:5])
        what = f"it has {names or 'nothing'}"
    return error(
        "wrong-envelope",
        f'{address}: the answer is no page of {collection.name}, {{"{collection.keys[0]}": [...]}}: {what}',
        hint="an answer without rows has an empty list; anything else does not count as one. Check the base address,"
        " and ask the server's vendor",
    )


def nameless_rows(count: int, collection: Collection, address: str) -> Diagnostic:
    return _malformed(f"{count:,} rows name nothing, not even a sourcedId", collection, address)


def _loaded(body: bytes, collection: Collection, address: str) -> dict[str, Any]:
    try:
        page = orjson.loads(body)
    except orjson.JSONDecodeError as problem:
        raise Refusal([_malformed("it is no JSON", collection, address)]) from problem
    if not isinstance(page, dict):
        raise Refusal([wrong_envelope(body, collection, address)])
    return page


def _row(row: object, collection: Collection) -> dict[str, Any]:
    if not isinstance(row, dict):
        raise _StrangeError("the row")
    shaped = {cell.name: _value(row.get(cell.name), cell) for cell in collection.cells}
    if collection.nested:
        items = row.get(collection.nested)
        items = [items] if isinstance(items, dict) else items
        if items is not None and not (isinstance(items, list) and all(isinstance(item, dict) for item in items)):
            raise _StrangeError(collection.nested)
        shaped[collection.nested] = items and [
            {cell.name: _value(item.get(cell.name), cell) for cell in collection.nested_cells} for item in items
        ]
    return shaped


def _value(value: object, cell: Cell) -> object:
    if value is None:
        return None
    if cell.many:
        values = value if isinstance(value, list) else [value] if value != "" else []
        return [_one(each, cell) for each in values]
    return _one(value, cell)


def _one(value: object, cell: Cell) -> object:
    if value is None or (isinstance(value, SCALARS) and not cell.reference):
        return value
    if cell.reference:
        key = value.get("sourcedId") if isinstance(value, dict) else value
        if key is None or isinstance(key, SCALARS):
            return {"sourcedId": key}
    raise _StrangeError(cell.name)


def _remains(row: object) -> dict[str, Any]:
    if not isinstance(row, dict):
        return {}
    return {name: row[name] for name in KNOWN_BY if isinstance(row.get(name), str | int)}


def _kind(value: object) -> str:
    return "null" if value is None else "an object" if isinstance(value, dict) else "no list"


def _malformed(what: str, collection: Collection, address: str) -> Diagnostic:
    return error(
        "malformed-page",
        f"{address}: the answer cannot be read as {collection.name} of OneRoster: {what}",
        hint="nothing of it is used; ask the server's vendor",
    )
