"""Parses a page of an API's JSON into frames of text columns with the standard's CSV names.

Polars parses exactly the properties that `collections` names; no row becomes a Python object. Only a page whose rows
have a different shape goes through `normalize_page`. No row is lost: a page that may hide rows is refused, and a row
with a value of the wrong type keeps only its identifiers, so that the reader quarantines it.
"""

import io
from collections.abc import Mapping
from functools import cache
from typing import Any

import orjson
import polars as pl

from reconciler.model.diagnostic import Diagnostic, Refusal, build_error
from reconciler.oneroster.sources.api.records.collections import Cell, Collection

# Pages whose rows deviate from the standard's shape are converted to it if their meaning is clear.


#: Malformed rows that a page may have; a page with more is refused.
MAX_MALFORMED_ROWS = 10
MAX_MALFORMED_SHARE = 0.01
#: Properties to keep of a malformed row, because they may identify its record.
IDENTIFYING_KEYS = ("sourcedId", "identifier", "email", "username")
SCALARS = (str, int, float, bool)


class _UnexpectedValueError(Exception):
    """A property has an invalid value. Carries the property's name."""


def normalize_page(body: bytes, collection: Collection, address: str) -> bytes:
    """Return the page with every row in the standard's shape, under the standard's key.

    Raises Refusal: `malformed-page`, `wrong-envelope`."""
    page = _load_page(body, collection, address)
    lists = [page[key] for key in collection.keys if page.get(key) is not None]
    if len(lists) != 1 or not isinstance(lists[0], list):
        raise Refusal([make_wrong_envelope_error(body, collection, address)])
    rows, strange = [], []
    for place, row in enumerate(lists[0], start=1):
        try:
            rows.append(_normalize_row(row, collection))
        except _UnexpectedValueError as found:
            strange.append((place, str(found)))
            rows.append(_extract_identifiers(row))
    empty = next((place for (place, _) in strange if not rows[place - 1]), None)
    if empty or len(strange) > max(MAX_MALFORMED_ROWS, len(rows) * MAX_MALFORMED_SHARE):
        place, name = (empty, "the row") if empty else strange[0]
        raise Refusal(
            [_make_malformed_page_error(f"row {place:,} of the page: {name} has an invalid value", collection, address)]
        )
    return orjson.dumps({collection.keys[0]: rows})


def wrap_record_as_page(body: bytes, collection: Collection, address: str) -> bytes:
    """Return a single record, `{"user": {...}}`, as a page with one row. Raises Refusal `wrong-envelope`."""
    page = _load_page(body, collection, address)
    found = [page[key] for key in collection.single if isinstance(page.get(key), dict)]
    if len(found) != 1:
        raise Refusal([make_wrong_envelope_error(body, collection, address)])
    return orjson.dumps({collection.keys[0]: found})


def make_wrong_envelope_error(body: bytes, collection: Collection, address: str) -> Diagnostic:
    """Return the error for a page without the requested list."""
    try:
        page = orjson.loads(body)
    except orjson.JSONDecodeError:
        return _make_malformed_page_error("it is not valid JSON", collection, address)
    if not isinstance(page, dict):
        what = "it is a list without an envelope" if isinstance(page, list) else "it is not an object"
    elif found := [key for key in collection.keys if key in page]:
        what = (
            f"{found[0]} is {_describe_value_kind(page[found[0]])}"
            if len(found) == 1
            else f"it has both {' and '.join(found)}"
        )
    else:
        names = ", ".join("".join(c if c.isprintable() else "?" for c in key[:40]) for key in list(page)[:5])
        what = f"it has {names or 'nothing'}"
    return build_error(
        "wrong-envelope",
        f'{address}: the response is not a page of {collection.name}, {{"{collection.keys[0]}": [...]}}: {what}',
        hint="Check the base address, and ask the server's vendor. A collection without rows must be an empty list.",
    )


def make_nameless_rows_error(count: int, collection: Collection, address: str) -> Diagnostic:
    return _make_malformed_page_error(f"{count:,} rows are empty, without even a sourcedId", collection, address)


def _load_page(body: bytes, collection: Collection, address: str) -> dict[str, Any]:
    try:
        page = orjson.loads(body)
    except orjson.JSONDecodeError as problem:
        raise Refusal([_make_malformed_page_error("it is not valid JSON", collection, address)]) from problem
    if not isinstance(page, dict):
        raise Refusal([make_wrong_envelope_error(body, collection, address)])
    return page


def _normalize_row(row: object, collection: Collection) -> dict[str, Any]:
    if not isinstance(row, dict):
        raise _UnexpectedValueError("the row")
    shaped = {cell.name: _normalize_value(row.get(cell.name), cell) for cell in collection.cells}
    if collection.nested:
        items = row.get(collection.nested)
        items = [items] if isinstance(items, dict) else items
        if items is not None and not (isinstance(items, list) and all(isinstance(item, dict) for item in items)):
            raise _UnexpectedValueError(collection.nested)
        shaped[collection.nested] = items and [
            {cell.name: _normalize_value(item.get(cell.name), cell) for cell in collection.nested_cells}
            for item in items
        ]
    return shaped


def _normalize_value(value: object, cell: Cell) -> object:
    if value is None:
        return None
    if cell.many:
        values = value if isinstance(value, list) else [value] if value != "" else []
        return [_normalize_item(each, cell) for each in values]
    return _normalize_item(value, cell)


def _normalize_item(value: object, cell: Cell) -> object:
    if value is None or (isinstance(value, SCALARS) and not cell.reference):
        return value
    if cell.reference:
        key = value.get("sourcedId") if isinstance(value, dict) else value
        if key is None or isinstance(key, SCALARS):
            return {"sourcedId": key}
    raise _UnexpectedValueError(cell.name)


def _extract_identifiers(row: object) -> dict[str, Any]:
    if not isinstance(row, dict):
        return {}
    return {name: row[name] for name in IDENTIFYING_KEYS if isinstance(row.get(name), str | int)}


def _describe_value_kind(value: object) -> str:
    return "null" if value is None else "an object" if isinstance(value, dict) else "not a list"


def _make_malformed_page_error(what: str, collection: Collection, address: str) -> Diagnostic:
    return build_error(
        "malformed-page",
        f"{address}: the response cannot be read as OneRoster {collection.name}: {what}",
        hint="The response was not used. Ask the server's vendor.",
    )


#: By file stem; text columns only, null and never empty.
Frames = Mapping[str, pl.DataFrame]

#: Line breaks are not allowed in the standard's CSV fields. They stay in a key, whose row is then quarantined.
LINE_ENDS = r"[\r\n]+"
ESCAPED_LINE_ENDS = (b"\\n", b"\\r", b"\\u000")
#: A page without this character has no escapes; looking for it costs next to nothing.
ESCAPE = b"\\"
#: Joins a person's sourcedId and the number of a role to the role's sourcedId, which the 1.2 API does not give.
ROLE_MARK = "/"


def read_page(body: bytes, collection: Collection, address: str) -> Frames:
    """Return the rows of a page from the JSON body of a 200.

    address: of the request, for messages.

    Raises Refusal: `wrong-envelope` if the collection's list is missing, null or not a list; `malformed-page` if the
    body isn't JSON, or more than a few of its rows have a shape of their own.
    """
    rows, bare = _parse_rows(body, collection, address)
    if not rows.len():
        return build_empty_frames(collection)
    page = rows.struct.unnest()
    broken = ESCAPE in body and any(mark in body for mark in ESCAPED_LINE_ENDS)
    frames = {collection.name: _build_table(page, collection.cells, bare, broken)}
    if frames[collection.name]["sourcedId"].null_count():
        _refuse_nameless_rows(frames[collection.name], collection, address)
    if collection.nested:
        frames[collection.nested] = _build_nested_table(page, collection, bare, broken)
    return frames


def read_record(body: bytes, collection: Collection, address: str) -> Frames:
    """Return the row of a single record, `{"user": {...}}`, as `read_page` does."""
    return read_page(wrap_record_as_page(body, collection, address), collection, address)


def build_empty_frames(collection: Collection) -> Frames:
    """Return the frames of a collection without rows."""
    frames = {collection.name: pl.DataFrame(schema={cell.column: pl.String for cell in collection.cells})}
    if collection.nested:
        columns = ["sourcedId", "status", "dateLastModified", "userSourcedId"]
        columns += [cell.column for cell in collection.nested_cells]
        frames[collection.nested] = pl.DataFrame(schema=dict.fromkeys(columns, pl.String))
    return frames


def _parse_rows(body: bytes, collection: Collection, address: str) -> tuple[pl.Series, bool]:
    """Return the rows as structs, and whether their references are bare sourcedIds."""
    for bare in (False, True):
        found = _try_parse_rows(body, collection, address, bare)
        if found is not None:
            return found, bare
    found = _try_parse_rows(normalize_page(body, collection, address), collection, address, False)
    if found is None:
        raise Refusal([make_wrong_envelope_error(body, collection, address)])
    return found, False


def _try_parse_rows(body: bytes, collection: Collection, address: str, bare: bool) -> pl.Series | None:
    """Return the rows, or None if they have another shape. bare: references are sourcedIds and no objects."""
    try:
        page = pl.read_json(io.BytesIO(body), schema=_build_schema(collection, bare))
    except pl.exceptions.PolarsError:
        return None
    there = [key for key in collection.keys if page.height == 1 and page[key][0] is not None]
    if len(there) != 1 or not body.lstrip().startswith(b"{"):
        raise Refusal([make_wrong_envelope_error(body, collection, address)])
    found: pl.Series = page[there[0]][0]
    return found


@cache
def _build_schema(collection: Collection, bare: bool) -> dict[str, pl.DataType]:
    """Return the schema of a page, with only the wanted properties of its rows."""
    fields = _build_types(collection.cells, bare)
    if collection.nested:
        fields[collection.nested] = pl.List(pl.Struct(_build_types(collection.nested_cells, bare)))
    return dict.fromkeys(collection.keys, pl.List(pl.Struct(fields)))


def _build_types(cells: tuple[Cell, ...], bare: bool) -> dict[str, pl.DataType]:
    def kind(cell: Cell) -> pl.DataType:
        one = pl.Struct({"sourcedId": pl.String}) if cell.reference and not bare else pl.String()
        return pl.List(one) if cell.many else one

    return {cell.name: kind(cell) for cell in cells}


def _refuse_nameless_rows(frame: pl.DataFrame, collection: Collection, address: str) -> None:
    """Refuse empty rows, which a CSV reader would skip."""
    fields = [name for name in frame.columns if name not in ("status", "dateLastModified")]
    nothing = frame.select(pl.all_horizontal(pl.col(fields).is_null())).to_series()
    if nothing.any():
        raise Refusal([make_nameless_rows_error(int(nothing.sum()), collection, address)])


def _build_table(page: pl.DataFrame, cells: tuple[Cell, ...], bare: bool, has_line_breaks: bool) -> pl.DataFrame:
    """Return the columns of a page; lists are quoted only if necessary, because each step has a fixed cost."""
    frame = page.select_seq(_build_value_expressions(cells, bare, has_line_breaks))
    lists = tuple(cell for cell in cells if cell.many)
    if lists and frame.select_seq(_build_quoting_check(lists)).item():
        frame = frame.with_columns(
            page.select_seq(_build_quoted_expressions(lists, bare, has_line_breaks)).get_columns()
        )
    return frame


@cache
def _build_value_expressions(cells: tuple[Cell, ...], bare: bool, has_line_breaks: bool) -> list[pl.Expr]:
    """Build the columns' expressions; lists are joined by commas.

    A list with an empty item is null, because the other items do not show which one is missing.
    """

    def value(cell: Cell) -> pl.Expr:
        here = pl.col(cell.name)
        if cell.many:
            return here.list.eval(_build_item_expression(cell, bare)).list.join(",", ignore_nulls=False)
        return here.struct.field("sourcedId") if cell.reference and not bare else here

    return [_clean_value(value(cell), cell, has_line_breaks) for cell in cells]


@cache
def _build_quoting_check(lists: tuple[Cell, ...]) -> pl.Expr:
    """Build the test for a list that has several items, or an item with a comma or a quotation mark."""
    return pl.any_horizontal(pl.col(cell.column).str.contains('[",]') for cell in lists).any()


@cache
def _build_quoted_expressions(lists: tuple[Cell, ...], bare: bool, has_line_breaks: bool) -> list[pl.Expr]:
    """Build the expressions of lists, with items quoted if they contain a comma or a quotation mark."""

    def value(cell: Cell) -> pl.Expr:
        item = _build_item_expression(cell, bare)
        quoted = pl.lit('"') + item.str.replace_all('"', '""', literal=True) + pl.lit('"')
        item = pl.when(item == "").then(None).when(item.str.contains('[",]')).then(quoted).otherwise(item)
        return pl.col(cell.name).list.eval(item).list.join(",", ignore_nulls=False)

    return [_clean_value(value(cell), cell, has_line_breaks) for cell in lists]


def _build_item_expression(cell: Cell, bare: bool) -> pl.Expr:
    return pl.element().struct.field("sourcedId") if cell.reference and not bare else pl.element()


def _clean_value(value: pl.Expr, cell: Cell, has_line_breaks: bool) -> pl.Expr:
    if has_line_breaks and not cell.reference and cell.column != "sourcedId":
        value = value.str.replace_all(LINE_ENDS, " ")
    return pl.when(value != "").then(value).alias(cell.column)


def _build_nested_table(page: pl.DataFrame, collection: Collection, bare: bool, has_line_breaks: bool) -> pl.DataFrame:
    """Return one row for each item. Its sourcedId is made of its person's and its position, so that it is the same in
    every fetch while the list stays the same."""
    assert collection.nested
    items = (
        page.select(
            pl.col("sourcedId").alias("userSourcedId"),
            "status",
            "dateLastModified",
            pl.int_ranges(1, pl.col(collection.nested).list.len() + 1).alias("place"),
            collection.nested,
        )
        .filter(pl.col(collection.nested).list.len() > 0)
        .explode("place", collection.nested)
        .unnest(collection.nested)
    )
    keys = items.select(
        (pl.col("userSourcedId") + ROLE_MARK + pl.col("place").cast(pl.String)).alias("sourcedId"),
        "status",
        "dateLastModified",
        "userSourcedId",
    )
    return pl.concat([keys, _build_table(items, collection.nested_cells, bare, has_line_breaks)], how="horizontal")
