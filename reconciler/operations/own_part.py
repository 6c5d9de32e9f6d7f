"""What is kept of a snapshot as a customer's last good roster: its own rows, and nobody else's children.

A bundle may hold several customers. What a row set aside protects is told by the customer's own people; of a row that
may be anybody's, that there was one is kept and nothing that it says.
"""

from __future__ import annotations

import polars as pl

from reconciler.model.kind import ROSTER_KINDS, Kind
from reconciler.oneroster.aside import KNOWN_BY
from reconciler.oneroster.snapshot import Snapshot
from reconciler.planning.desired import Desired
from reconciler.planning.live import Live
from reconciler.planning.persons import known_aliases

Frames = dict[str, pl.DataFrame]

#: Before the file stem in the name of a part that holds rows whose references are not there yet.
WAITING = "waiting-"


def own_part(snapshot: Snapshot, desired: Desired, live: Live) -> Frames:
    """The snapshot's frames by part. live: with the open enrollments."""
    frames = {
        "orgs": snapshot.orgs,
        "users": snapshot.users,
        "roles": snapshot.roles,
        "classes": snapshot.classes,
        "enrollments": snapshot.enrollments,
        "quarantine": snapshot.quarantine,
        "sessions": snapshot.sessions,
        "role_ids": snapshot.role_ids,
    }
    orgs = desired.own_orgs
    alone = orgs.len() == snapshot.orgs.height
    if alone and not snapshot.quarantine.filter(pl.col("kind") == Kind.ORG.value).height:
        return frames | {f"{WAITING}{stem}": frame for stem, frame in snapshot.waiting.items()}
    # An org that was set aside is the customer's where it is live here.
    aside = desired.protected(Kind.ORG)
    orgs = pl.concat([orgs, aside.filter(aside.is_in(live.orgs["sourced_id"].implode())).alias("sourced_id")])
    own = {
        "orgs": _of(frames["orgs"], "sourced_id", orgs),
        "users": frames["users"].filter(~pl.col("sourced_id").is_in(desired.elsewhere.implode())),
        "classes": _of(frames["classes"], "school", orgs),
    }
    aliases = known_aliases(live.users)["alias"].alias("sourced_id")
    users = pl.concat([own["users"]["sourced_id"], live.users["sourced_id"], aliases])
    classes = pl.concat([own["classes"]["sourced_id"], live.classes["sourced_id"]])
    own["roles"] = _of(_of(frames["roles"], "user", own["users"]["sourced_id"]), "org", orgs)
    own["enrollments"] = _of(_of(frames["enrollments"], "user", users), "class", classes)
    own["quarantine"] = _own_aside(snapshot.quarantine, own, live)
    own["sessions"] = snapshot.sessions
    own["role_ids"] = frames["role_ids"].join(own["roles"], on=["user", "org", "role", "line"], how="semi")
    # Whose rows wait cannot be told where several customers share the bundle: they are not kept.
    return {part: own[part] for part in frames}


def _of(frame: pl.DataFrame, column: str, keys: pl.Series) -> pl.DataFrame:
    return frame.join(
        keys.drop_nulls().unique().to_frame("key"), left_on=column, right_on="key", how="semi", maintain_order="left"
    )


def _own_aside(quarantine: pl.DataFrame, own: Frames, live: Live) -> pl.DataFrame:
    """Rows that name somebody or something of this customer whole; rows that name nobody without what they say.

    A person's row with another sourcedId may be an account's all the same, where it has one of the account's values,
    or where its values cannot be read.
    """
    aliases = known_aliases(live.users)["alias"].alias("sourced_id")
    known = pl.any_horizontal(
        [
            (pl.col("kind") == kind.value)
            & pl.col("key").is_in(
                pl.concat([own[kind.plural]["sourced_id"], live.frame(kind)["sourced_id"], aliases])
                .drop_nulls()
                .implode()
            )
            for kind in ROSTER_KINDS
        ]
    ).fill_null(False)
    values = pl.concat(
        [live.users[name].alias("value") for name in ("identifier", "email", "username", "roster_username")]
    ).drop_nulls()
    meant = pl.any_horizontal(pl.col(name).is_in(values.implode()) for name in KNOWN_BY).fill_null(False)
    unread = pl.col("key").is_null() | (
        (pl.col("kind") == Kind.USER.value) & pl.all_horizontal(pl.col(name).is_null() for name in KNOWN_BY)
    )
    whole, nobodys = known | meant, unread & ~(known | meant)
    nothing = pl.lit(None, dtype=pl.String)
    return quarantine.filter(whole | nobodys).with_columns(
        pl.when(nobodys).then(pl.lit("a row whose owner cannot be told")).otherwise("message").alias("message"),
        *[pl.when(~nobodys).then(pl.col(name)).otherwise(nothing).alias(name) for name in ("key", "hint", *KNOWN_BY)],
    )
