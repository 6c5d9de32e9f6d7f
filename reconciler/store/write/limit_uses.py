"""Record the unapproved changes of a run that count toward limits."""

import polars as pl

from reconciler.model.kind import Kind
from reconciler.store.write.rows import WriteContext


def record_limit_uses(context: WriteContext, kind: Kind, rows: pl.DataFrame, *, approved: bool) -> None:
    """Record the limit uses of an applied change frame. approved: True if its hold was approved; held rows do not count
    then. Call for enrollments before they are written, while their rows say who loses them; for others afterwards.
    """
    counted = rows.filter(pl.col("limits").is_not_null())
    if approved:
        counted = counted.filter(~pl.col("held"))
    if counted.is_empty():
        return
    uses = (
        _add_row_ids(context, kind, counted)
        .with_columns(pl.col("limits").str.split(",").alias("name"), _extract_orgs(kind).alias("schools"))
        .explode("name")
    )
    if kind is Kind.ENROLLMENT:
        uses = uses.join(_read_lost_places(context, uses["row_id"]), on="row_id", how="left")
    else:
        uses = uses.with_columns(pl.lit(None, dtype=pl.Int64).alias(name) for name in ("account_id", "class_id"))
    ids = context.connection.generate_ids("limit_uses", uses.height)
    context.connection.insert_frame(
        "limit_uses",
        uses.select(
            ids.alias("id"),
            pl.lit(context.run, dtype=pl.Int64).alias("run_id"),
            pl.lit(context.customer_number, dtype=pl.Int64).alias("customer_id"),
            "name",
            "row_id",
            "schools",
            pl.lit(context.now).alias("at"),
            "account_id",
            "class_id",
        ),
    )


def _read_lost_places(context: WriteContext, ids: pl.Series) -> pl.DataFrame:
    """Return the `account_id` and `class_id` that enrollments have now, with their `row_id`."""
    with context.connection.stage_frame("lost_enrollments", ids.unique().sort().to_frame("row_id")) as lost:
        return context.connection.fetch_frame(
            f"SELECT s.row_id, e.account_id, e.class_id FROM {lost} s JOIN enrollments e ON e.id = s.row_id",
            {"row_id": pl.Int64, "account_id": pl.Int64, "class_id": pl.Int64},
        )


def _add_row_ids(context: WriteContext, kind: Kind, counted: pl.DataFrame) -> pl.DataFrame:
    """Add `row_id`; for people whom this run created, the account that their sourcedId is bound to now."""
    new = counted.filter(pl.col("live_id").is_null())
    if new.is_empty() or kind is not Kind.USER:
        return counted.with_columns(pl.col("live_id").alias("row_id")).drop_nulls("row_id")
    with context.connection.stage_frame("counted_people", new.select("key")) as names:
        made = context.connection.fetch_frame(
            f"SELECT s.key, i.account_id FROM {names} s JOIN identities i ON i.subject = s.key"
            " JOIN issuers x ON x.id = i.issuer_id AND x.kind = 'roster' AND x.customer_id = :customer",
            {"key": pl.String, "account_id": pl.Int64},
            context.facts,
        )
    return (
        counted.join(made, on="key", how="left", maintain_order="left")
        .with_columns(pl.coalesce("live_id", "account_id").alias("row_id"))
        .drop_nulls("row_id")
    )


def _extract_orgs(kind: Kind) -> pl.Expr:
    """Return the sourcedIds of a person's orgs before the change, one per line."""
    if kind is not Kind.USER:
        return pl.lit(None, dtype=pl.String)
    entries = pl.coalesce("before_roles", "roles").str.split("\n")
    return (
        entries.list.eval(pl.element().str.extract(r"^(.*)="))
        .list.drop_nulls()
        .list.unique()
        .list.sort()
        .list.join("\n")
    )
