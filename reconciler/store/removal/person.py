"""Find and remove mentions of one person in before-images, the last roster and the sentences of holds."""

import io
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import orjson
import polars as pl

from reconciler.model.ids import CustomerNumber, SourcedId
from reconciler.model.kind import Kind
from reconciler.model.text_form import make_caseless_form
from reconciler.store.database.connection import Connection
from reconciler.store.json_text import dump_sorted_json
from reconciler.store.read.roster_frames import ROSTER_ISSUER
from reconciler.store.removal.image_digests import record_cleared_image

#: An account, the accounts that it was merged into, and all accounts merged into one of these.
ACCOUNTS_SQL = """
WITH RECURSIVE theirs (id) AS (
    SELECT CAST(:account AS BIGINT)
    UNION
    SELECT CASE WHEN a.id = t.id THEN a.merged_into ELSE a.id END
    FROM theirs t JOIN accounts a ON a.id = t.id OR a.merged_into = t.id
    WHERE a.customer_id = :customer AND a.merged_into IS NOT NULL
)
SELECT id FROM theirs ORDER BY id
"""

#: The columns of an account and of its images that identify a person.
IDENTIFYING_COLUMNS = ("username", "roster_username", "email", "identifier")
#: Shorter values are not searched for in sentences, because they are part of too many words.
SHORTEST_WORD = 3


@dataclass(frozen=True, slots=True)
class PersonIdentifiers:
    """All present and former identifiers of one person in the store."""

    #: ids; empty if only the last roster has the person, several if accounts were merged
    accounts: pl.Series
    sourced_ids: tuple[SourcedId, ...]
    #: usernames, email addresses and identifiers
    values: tuple[str, ...]
    #: ids of enrollments
    enrollments: pl.Series
    #: sourcedIds of the enrollments
    enrollment_keys: tuple[str, ...] = ()

    @property
    def words(self) -> str:
        """Return a regular expression for the person's identifiers in a text; it matches nothing if there are none."""
        words = sorted({each for each in (*self.sourced_ids, *self.values) if len(each) >= SHORTEST_WORD})
        return rf"(?i)(?:^|\W)(?:{'|'.join(map(re.escape, words))})(?:\W|$)" if words else r"[^\s\S]"


def load_person(connection: Connection, customer_number: CustomerNumber, account: int) -> PersonIdentifiers:
    """Return the identifiers of an account's person, active or deleted, including those of merged accounts."""
    facts = {"customer": customer_number, "account": account}
    accounts = connection.fetch_frame(ACCOUNTS_SQL, {"id": pl.Int64}, facts)["id"]
    theirs = f"IN ({', '.join(map(str, accounts))})"
    subjects = [
        SourcedId(str(subject))
        for (subject,) in connection.fetch_rows(
            f"SELECT i.subject FROM identities i WHERE i.account_id {theirs} AND +i.issuer_id = {ROSTER_ISSUER}",
            facts,
        )
    ]
    now = connection.fetch_rows(f"SELECT {', '.join(IDENTIFYING_COLUMNS)} FROM accounts WHERE id {theirs}")
    images = list(_read_images(connection, theirs))
    for image in images:
        subjects += [image["sourced_id"]] if image.get("sourced_id") else []
        subjects += [SourcedId(alias) for alias in str(image.get("aliases") or "").split("\n") if alias]
    values = [
        *(value for row in now for value in row),
        *(image.get(name) for image in images for name in IDENTIFYING_COLUMNS),
    ]
    enrollments = connection.fetch_frame(
        f"SELECT id, sourced_id FROM enrollments WHERE account_id {theirs} AND +customer_id = :customer ORDER BY id",
        {"id": pl.Int64, "sourced_id": pl.String},
        facts,
    )
    return PersonIdentifiers(
        accounts,
        tuple(sorted(set(subjects))),
        tuple(sorted({str(value) for value in values if value})),
        enrollments["id"],
        tuple(enrollments["sourced_id"].to_list()),
    )


def build_unbound_person(sourced_id: SourcedId) -> PersonIdentifiers:
    """Return the identifiers of a person without an account."""
    none = pl.Series([], dtype=pl.Int64)
    return PersonIdentifiers(none, (sourced_id,), (), none)


def _read_images(connection: Connection, theirs: str) -> Iterator[Mapping[str, Any]]:
    for (before,) in connection.fetch_rows(
        f"SELECT before FROM journal WHERE kind = '{Kind.USER.value}' AND row_id {theirs}"
    ):
        yield orjson.loads(before)


#: Replaces a sentence that named the person.
ANONYMOUS_SENTENCE = "it named somebody who was erased"
#: Columns of the last roster's parts that contain a person's sourcedId; for users it is `sourced_id`.
PERSON_COLUMNS = ("user",)
QUARANTINE = "quarantine"
SENTENCE_COLUMNS = ("message", "hint")
IDENTIFYING_FIELDS = ("identifier", "email", "username")


def find_identity_images(
    connection: Connection, customer_number: CustomerNumber, person: PersonIdentifiers
) -> pl.Series:
    """Return ids of the before-images of this person's present and former sourcedIds and assignments."""
    rows = connection.fetch_rows(
        "SELECT id, before FROM journal WHERE customer_id = :customer AND kind IN ('identity', 'assignment')"
        " ORDER BY id",
        {"customer": customer_number},
    )
    accounts, subjects = set(person.accounts.to_list()), set(person.sourced_ids)
    images = ((number, orjson.loads(before)) for number, before in rows)
    theirs = [number for number, image in images if image["account_id"] in accounts or image.get("subject") in subjects]
    return pl.Series(theirs, dtype=pl.Int64)


def count_document_mentions(
    connection: Connection, customer_number: CustomerNumber, person: PersonIdentifiers, *, remove: bool
) -> int:
    """Count the before-images of the customer's document that name the person among its administrators, protected or
    merged people; with `remove`, also remove the person from them.
    """
    count = 0
    for number, before in connection.fetch_rows(
        "SELECT id, before FROM journal WHERE customer_id = :customer AND kind = :kind",
        {"customer": customer_number, "kind": Kind.CUSTOMER.value},
    ):
        image = orjson.loads(before)
        document = orjson.loads(image["document"])
        cleared = remove_person_from_document(document, person)
        if cleared == document:
            continue
        count += 1
        if remove:
            connection.execute(
                "UPDATE journal SET before = :before WHERE id = :id",
                {"id": number, "before": dump_sorted_json({**image, "document": dump_sorted_json(cleared)})},
            )
            record_cleared_image(connection, number)
    return count


def remove_person_from_document(document: Mapping[str, Any], person: PersonIdentifiers) -> dict[str, Any]:
    """Return a customer's document without the person in `administrators`, `rostering.protect` and `.merges`."""
    values = {make_caseless_form(value) for value in person.values}
    cleared = dict(document)
    people = document.get("administrators")
    if isinstance(people, Mapping):
        cleared["administrators"] = {
            name: each
            for name, each in people.items()
            if make_caseless_form(str(name)) not in values
            and make_caseless_form(str(each.get("email", ""))) not in values
        }
    rostering = document.get("rostering")
    if isinstance(rostering, Mapping) and rostering.get("protect"):
        protect = [each for each in rostering["protect"] if each not in person.sourced_ids]
        cleared["rostering"] = rostering = {**rostering, "protect": protect}
    if isinstance(rostering, Mapping) and rostering.get("merges"):
        merges = [each for each in rostering["merges"] if not {each["keep"], each["merge"]} & set(person.sourced_ids)]
        cleared["rostering"] = {**rostering, "merges": merges}
    return cleared


def count_hold_mentions(
    connection: Connection, customer_number: CustomerNumber, person: PersonIdentifiers, *, remove: bool
) -> int:
    """Count the sentences of holds that name the person; with `remove`, also replace them."""
    count = 0
    for scope, causes in connection.fetch_rows(
        "SELECT scope, causes FROM holds WHERE customer_id = :customer", {"customer": customer_number}
    ):
        sentences = orjson.loads(causes)
        cleared = [ANONYMOUS_SENTENCE if re.search(person.words, each) else each for each in sentences]
        count += sum(before != after for before, after in zip(sentences, cleared, strict=True))
        if remove and cleared != sentences:
            connection.execute(
                "UPDATE holds SET causes = :causes WHERE customer_id = :customer AND scope = :scope",
                {"customer": customer_number, "scope": scope, "causes": dump_sorted_json(cleared)},
            )
    return count


def count_snapshot_mentions(
    connection: Connection, customer_number: CustomerNumber, person: PersonIdentifiers, *, remove: bool
) -> int:
    """Count the rows of the last roster that are the person's or name the person; with `remove`, also remove them."""
    count = 0
    slices = connection.fetch_rows(
        "SELECT p.snapshot_id, p.part, p.number FROM snapshot_parts p JOIN snapshots s ON s.id = p.snapshot_id"
        " WHERE s.customer_id = :customer ORDER BY p.part, p.number",
        {"customer": customer_number},
    )
    for snapshot, part, number in slices:
        place = {"snapshot": snapshot, "part": part, "number": number}
        which = "snapshot_id = :snapshot AND part = :part AND number = :number"
        frame = pl.read_parquet(
            io.BytesIO(connection.fetch_scalar(f"SELECT data FROM snapshot_parts WHERE {which}", place))
        )
        cleared, changed = _clear_snapshot_part(part, frame, person)
        count += changed
        if remove and changed:
            data = io.BytesIO()
            cleared.write_parquet(data, compression="zstd")
            connection.execute(
                f"UPDATE snapshot_parts SET data = :data WHERE {which}", {**place, "data": data.getvalue()}
            )
    return count


def _clear_snapshot_part(part: str, frame: pl.DataFrame, person: PersonIdentifiers) -> tuple[pl.DataFrame, int]:
    """Return the frame without the person, and the number of its rows that were removed or changed."""
    remaining = frame.filter(~_match_person_rows(part, frame, person))
    removed = frame.height - remaining.height
    if part != QUARANTINE:
        return remaining, removed
    values = pl.Series(person.values, dtype=pl.String).implode()
    cleared = remaining.with_columns(
        *[
            pl.when(pl.col(name).str.contains(person.words).fill_null(False))
            .then(pl.lit(ANONYMOUS_SENTENCE))
            .otherwise(name)
            .alias(name)
            for name in SENTENCE_COLUMNS
        ],
        *[pl.when(~pl.col(name).is_in(values)).then(pl.col(name)).alias(name) for name in IDENTIFYING_FIELDS],
    )
    names = [*SENTENCE_COLUMNS, *IDENTIFYING_FIELDS]
    before, after = remaining.select(names), cleared.select(pl.col(names).name.suffix("_after"))
    changed = pl.any_horizontal([pl.col(name).ne_missing(pl.col(f"{name}_after")) for name in names])
    return cleared, removed + pl.concat([before, after], how="horizontal").filter(changed).height


def _match_person_rows(part: str, frame: pl.DataFrame, person: PersonIdentifiers) -> pl.Expr:
    keys = pl.Series(person.sourced_ids, dtype=pl.String).implode()
    if part == QUARANTINE:
        # A row that shares a value but has another sourcedId belongs to, and protects, somebody else.
        values = pl.Series(person.values, dtype=pl.String).implode()
        enrollments = pl.Series(person.enrollment_keys, dtype=pl.String).implode()
        nameless = pl.col("key").is_null() & pl.any_horizontal(
            pl.col(name).is_in(values) for name in IDENTIFYING_FIELDS
        )
        user, enrollment = (pl.col("kind") == kind.value for kind in (Kind.USER, Kind.ENROLLMENT))
        named = pl.col("key").is_in(keys).fill_null(False) | nameless.fill_null(False)
        return (user & named) | (enrollment & pl.col("key").is_in(enrollments).fill_null(False))
    columns = [name for name in PERSON_COLUMNS if name in frame.columns]
    if part.removeprefix("waiting-") == "users":
        columns.append("sourced_id")
    if not columns:
        return pl.lit(False)
    return pl.any_horizontal(pl.col(name).is_in(keys) for name in columns).fill_null(False)
