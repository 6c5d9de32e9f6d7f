"""One page of an API's JSON as frames of text columns, named as the standard's CSV columns.

The page is parsed by polars into exactly the properties that `collections` names; no row becomes a Python object. A
page whose rows have another shape goes through `misshapen`. Nothing vanishes here: a page that cannot be told from one
without rows is refused, and a value of a wrong type leaves its row without what every row needs, for which the reader
sets it aside.
"""

from __future__ import annotations

import io
from collections.abc import Mapping

import polars as pl

from reconciler.model.diagnostic import Refusal
from reconciler.oneroster.sources.api.collections import Cell, Collection
from reconciler.oneroster.sources.api.misshapen import as_page, nameless_rows, reshaped, wrong_envelope

#: By file stem; text columns only, null and never empty.
Frames = Mapping[str, pl.DataFrame]

#: What ends a line may stand inside no field of the standard's CSV. A key keeps it, and its row is set aside.
LINE_ENDS = r"[\r\n]+"
ESCAPED_LINE_ENDS = (b"\\n", b"\\r", b"\\u000")
#: Between a person and the number of a role: a role of 1.2's API has no sourcedId.
ROLE_MARK = "/"


def read_page(body: bytes, collection: Collection, address: str) -> Frames:
    """body: of a 200, JSON. address: of the request, for messages.

    Raises Refusal: `wrong-envelope` where the collection's list is not in it, is null or no list; `malformed-page`
    where it is no JSON, or more of its rows than a few have a shape of their own.
    """
    rows = _rows(body, collection, address)
    if not rows.len():
        return no_frames(collection)
    page = rows.struct.unnest()
    broken = any(mark in body for mark in ESCAPED_LINE_ENDS)
    frames = {collection.name: _table(page, collection.cells, broken)}
    if frames[collection.name]["sourcedId"].null_count():
        _refuse_nothing(frames[collection.name], collection, address)
    if collection.nested:
        frames[collection.nested] = _nested(page, collection, broken)
    return frames


def read_record(body: bytes, collection: Collection, address: str) -> Frames:
    """The same of one record, `{"user": {...}}`."""
    return read_page(as_page(body, collection, address), collection, address)


def no_frames(collection: Collection) -> Frames:
    """A collection without rows."""
    frames = {collection.name: pl.DataFrame(schema={cell.column: pl.String for cell in collection.cells})}
    if collection.nested:
        columns = ["sourcedId", "status", "dateLastModified", "userSourcedId"]
        columns += [cell.column for cell in collection.nested_cells]
        frames[collection.nested] = pl.DataFrame(schema=dict.fromkeys(columns, pl.String))
    return frames


def _rows(body: bytes, collection: Collection, address: str) -> pl.Series:
    """Each row a struct of its properties."""
    found = _parsed(body, collection, address, bare=False)
    if found is None:
        found = _parsed(body, collection, address, bare=True)
    if found is None:
        found = _parsed(reshaped(body, collection, address), collection, address, bare=False)
    if found is None:
        raise Refusal([wrong_envelope(body, collection, address)])
    return found


def _parsed(body: bytes, collection: Collection, address: str, *, bare: bool) -> pl.Series | None:
    """None where the rows have another shape. bare: references are sourcedIds, and no objects."""
    row = pl.List(_row_type(collection, bare=bare))
    try:
        page = pl.read_json(io.BytesIO(body), schema=dict.fromkeys(collection.keys, row))
    except pl.exceptions.PolarsError:
        return None
    there = [key for key in collection.keys if page.height == 1 and page[key][0] is not None]
    if len(there) != 1 or not body.lstrip().startswith(b"{"):
        raise Refusal([wrong_envelope(body, collection, address)])
    lists = page[there[0]]
    return lists.explode() if lists.list.len()[0] else pl.Series(dtype=row.inner)


def _row_type(collection: Collection, *, bare: bool) -> pl.Struct:
    def properties(cells: tuple[Cell, ...]) -> dict[str, pl.DataType]:
        return {cell.name: _type(cell, bare=bare) for cell in cells}

    fields = properties(collection.cells)
    if collection.nested:
        fields[collection.nested] = pl.List(pl.Struct(properties(collection.nested_cells)))
    return pl.Struct(fields)


def _type(cell: Cell, *, bare: bool) -> pl.DataType:
    one: pl.DataType = pl.Struct({"sourcedId": pl.String}) if cell.reference and not bare else pl.String()
    return pl.List(one) if cell.many else one


def _refuse_nothing(frame: pl.DataFrame, collection: Collection, address: str) -> None:
    """A row that names nothing would be skipped as an empty one is in a CSV file."""
    told = [name for name in frame.columns if name not in ("status", "dateLastModified")]
    nothing = frame.select(pl.all_horizontal(pl.col(told).is_null())).to_series()
    if nothing.any():
        raise Refusal([nameless_rows(int(nothing.sum()), collection, address)])


def _table(page: pl.DataFrame, cells: tuple[Cell, ...], broken: bool) -> pl.DataFrame:
    return page.select(_value(cell, page.schema[cell.name]).alias(cell.column) for cell in cells).with_columns(
        _tidy(cell, broken) for cell in cells
    )


def _value(cell: Cell, kind: pl.DataType) -> pl.Expr:
    value = pl.col(cell.name)
    if cell.many:
        if isinstance(kind, pl.List) and isinstance(kind.inner, pl.Struct):
            return _list_cell(value, pl.element().struct.field("sourcedId"))
        return _list_cell(value, pl.element())
    return value.struct.field("sourcedId") if isinstance(kind, pl.Struct) else value


def _list_cell(values: pl.Expr, item: pl.Expr) -> pl.Expr:
    """Items joined by commas; one that holds a comma or a quotation mark stands in quotation marks inside the cell. A
    list with an item that names nothing is no list: who has lost one of their schools is not told by the others."""
    quoted = pl.lit('"') + item.str.replace_all('"', '""', literal=True) + pl.lit('"')
    item = pl.when(item == "").then(None).when(item.str.contains('[",]')).then(quoted).otherwise(item)
    return values.list.eval(item).list.join(",", ignore_nulls=False)


def _tidy(cell: Cell, broken: bool) -> pl.Expr:
    value = pl.col(cell.column)
    if broken and not cell.reference and cell.column != "sourcedId":
        value = value.str.replace_all(LINE_ENDS, " ")
    return pl.when(value != "").then(value)


def _nested(page: pl.DataFrame, collection: Collection, broken: bool) -> pl.DataFrame:
    """One row for each item. Its sourcedId is its person's and its place in their list: the same in every fetch for as
    long as the list is."""
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
    told = items.select(
        (pl.col("userSourcedId") + ROLE_MARK + pl.col("place").cast(pl.String)).alias("sourcedId"),
        "status",
        "dateLastModified",
        "userSourcedId",
    )
    return pl.concat([told, _table(items, collection.nested_cells, broken)], how="horizontal")
