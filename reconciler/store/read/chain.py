"""Hash runs into a signed chain, and verify that no run was changed or removed."""

import hashlib
import hmac
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import select

from reconciler.model.ids import RunId
from reconciler.store.database.connection import Connection
from reconciler.store.errors import StoreProblem
from reconciler.store.json_text import dump_sorted_json
from reconciler.store.key import StoreKey
from reconciler.store.tables import declared, record

HASHED_COLUMNS = (
    "id",
    "customer_slug",
    "plan_id",
    "started_at",
    "finished_at",
    "actor",
    "outcome",
    "counts",
    "git_commit",
    "approvals",
    "source_sha256",
    "settings_digest",
)


def hash_run(previous: str | None, run: Mapping[str, Any]) -> str:
    """Return the SHA-256 of the previous run's hash and the run's own columns, so that a later change is detected.

    `undoes`, and the customer with the digest of the journal, are included only if they are set, so that older runs
    keep their hashes.
    """
    more = [run["undoes"]] if run.get("undoes") is not None else []
    if run.get("journal_digest") is not None:
        more.append({"customer": run["customer_id"], "journal": run["journal_digest"]})
    return hashlib.sha256(
        dump_sorted_json([previous, *[run[name] for name in HASHED_COLUMNS], *more]).encode()
    ).hexdigest()


def sign_chain_head(key: StoreKey, head: str, certificate: str = "") -> str:
    """Return the HMAC of the newest hash under the store key: database access suffices to rewrite runs, not to sign.

    certificate: the signature of the newest certificate, so that the last of them cannot be removed; empty without one.
    """
    return key.compute_hmac_hex("run-chain", f"{head}\0{certificate}" if certificate else head)


def sign_history(connection: Connection, key: StoreKey, head: str) -> None:
    """Sign the newest run, whose hash is `head`, and the newest certificate. Call with the store's row locked."""
    connection.execute(
        "UPDATE store SET head_hash = :hash, head_seal = :seal",
        {"hash": head, "seal": sign_chain_head(key, head, _read_last_certificate(connection))},
    )


def is_history_signed(connection: Connection, key: StoreKey) -> bool:
    """Return True if the store key signed the newest run, with the newest certificate if this version signed it."""
    head, seal = connection.fetch_row("SELECT head_hash, head_seal FROM store") or (None, None)
    if head is None or seal is None:
        return False
    signatures = (sign_chain_head(key, head, _read_last_certificate(connection)), sign_chain_head(key, head))
    return any(hmac.compare_digest(seal, each) for each in signatures)


def _read_last_certificate(connection: Connection) -> str:
    return connection.fetch_scalar("SELECT seal FROM certificates ORDER BY id DESC LIMIT 1") or ""


def lock_store(connection: Connection, key: StoreKey) -> str | None:
    """Lock the store's row until the transaction ends, and return the hash of the newest run.

    Raises StoreProblem `key-changed` if the store has had another key since it was opened: what was written under the
    earlier key must not be committed.
    """
    head, check = connection.fetch_rows(f"SELECT head_hash, key_check FROM store{connection.dialect.for_update}")[0]
    if check != key.key_check:
        raise StoreProblem(
            "key-changed",
            "the store got another key while this command ran; nothing was changed",
            "Run the command again.",
        )
    return None if head is None else str(head)


Run = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ChainVerification:
    """The result of verifying the chain of runs."""

    #: number of intact runs, counted from the first
    runs: int
    #: True if the last run is signed with the store key, False if it is older than signatures
    is_signed: bool = False
    #: the first mismatch, for people; None if there is none
    first_break: str | None = None
    #: the run of the first mismatch; None if there is none to name
    run: RunId | None = None


#: Runs read at a time.
PAGE_RUNS = 5_000
#: Applies at the same moment may end in another order than they began. More runs than this are never out of order.
MAX_WAITING = 10_000


@dataclass(slots=True)
class _Chain:
    """The chain of runs as far as it was followed, in constant memory."""

    head: str | None
    runs: int = 0
    last: Run | None = None
    #: runs that came before the run which they follow, by that run's hash
    waiting: dict[str | None, Run] = field(default_factory=dict)

    @property
    def end(self) -> str | None:
        return self.last["hash"] if self.last else None

    @property
    def place(self) -> str:
        return f"run {self.last['id']}" if self.last else "the beginning"

    def build_break(self, message: str, run: Run | None) -> ChainVerification:
        return ChainVerification(self.runs, first_break=message, run=_get_run_id(run) if run else None)


def verify_chain(connection: Connection, key: StoreKey) -> ChainVerification:
    """Recompute every hash and check the signature, reading a page of runs at a time.

    The order of runs is that of the chain, because an apply that was rolled back leaves a gap in the ids.
    """
    head, seal = connection.fetch_row(select(declared.store.c.head_hash, declared.store.c.head_seal)) or (None, None)
    chain = _Chain(head)
    return _follow_chain(connection, chain) or _check_chain_end(connection, key, chain, seal)


def _iter_runs(connection: Connection) -> Iterator[Run]:
    """Yield all runs by id."""
    columns = list(record.runs.columns)
    names = [column.name for column in columns]
    last = 0
    while True:
        page = select(*columns).where(record.runs.c.id > last).order_by(record.runs.c.id).limit(PAGE_RUNS)
        rows = connection.fetch_rows(page)
        for row in rows:
            yield dict(zip(names, row, strict=True))
        if len(rows) < PAGE_RUNS:
            return
        last = rows[-1][names.index("id")]


def _follow_chain(connection: Connection, chain: _Chain) -> ChainVerification | None:
    """Return the first break, or None if all runs form one chain that ends in its head."""
    for run in _iter_runs(connection):
        other = chain.waiting.setdefault(run["previous_hash"], run)
        if other is not run:
            return _describe_fork(chain, other, run)
        while (following := chain.waiting.pop(chain.end, None)) is not None:
            expected = hash_run(following["previous_hash"], following)
            if following["hash"] != expected:
                return chain.build_break(_describe_alteration(connection, following, expected, chain.head), following)
            chain.last, chain.runs = following, chain.runs + 1
        if len(chain.waiting) > MAX_WAITING:
            break
    if chain.waiting:
        return _find_chain_gap(connection, chain)
    if chain.end != chain.head:
        return chain.build_break(f"the runs after {chain.place} are missing", chain.last)
    return None


def _get_run_id(run: Run) -> RunId:
    return RunId(int(run["id"]))


def _describe_fork(chain: _Chain, run: Run, other: Run) -> ChainVerification:
    return chain.build_break(f"run {other['id']} follows the same run as run {run['id']}", other)


def _describe_alteration(connection: Connection, run: Run, expected: str, head: str | None) -> str:
    """Return which part of a run was altered, as far as the copy of its hash in the next run or the head reveals it."""
    if expected == head or _find_following_run(connection, expected) is not None:
        return f"the hash of run {run['id']} was altered, but its content was not"
    if run["hash"] == head or _find_following_run(connection, run["hash"]) is not None:
        return f"run {run['id']} was altered after it was written: its hash does not match its content"
    return f"run {run['id']} was altered after it was written, and so were the runs after it"


def _find_following_run(connection: Connection, previous: str | None) -> RunId | None:
    """Return the first run that names a hash as that of the run before it."""
    which = "previous_hash IS NULL" if previous is None else "previous_hash = :previous"
    found = connection.fetch_scalar(f"SELECT min(id) FROM runs WHERE {which}", {"previous": previous})
    return None if found is None else RunId(int(found))


def _find_chain_gap(connection: Connection, chain: _Chain) -> ChainVerification:
    """Return the break at the first run that does not follow another run, or that follows one that is followed."""
    hashes = {run["hash"] for run in chain.waiting.values()}
    loose = [run for before, run in chain.waiting.items() if before not in hashes]
    if not loose:
        return chain.build_break(f"the runs after {chain.place} do not follow it", None)
    first = min(loose, key=_get_run_id)
    followed = _find_following_run(connection, first["previous_hash"])
    if followed is not None and followed != _get_run_id(first):
        return chain.build_break(f"run {first['id']} follows the same run as run {followed}", first)
    if hash_run(chain.end, first) == first["hash"]:
        return chain.build_break(f"run {first['id']} was altered: it names the wrong previous run", first)
    return chain.build_break(
        f"run {first['id']} does not follow {chain.place}: the runs between them are missing", first
    )


def _check_chain_end(connection: Connection, key: StoreKey, chain: _Chain, seal: str | None) -> ChainVerification:
    """Check that the store refers to no later run, and that the store key signed the last one."""
    missing = connection.fetch_scalar(
        "SELECT min(n.run) FROM (SELECT last_run AS run FROM customers WHERE last_run IS NOT NULL"
        " UNION SELECT catalogue_run FROM store WHERE catalogue_run > 0) n"
        " WHERE NOT EXISTS (SELECT 1 FROM runs r WHERE r.id = n.run)"
    )
    if missing is not None:
        return ChainVerification(
            chain.runs,
            first_break=f"run {missing} is missing, but its changes are in the store",
            run=RunId(int(missing)),
        )
    if seal is None:
        return ChainVerification(chain.runs)
    if not is_history_signed(connection, key):
        end = f"the last run ({chain.last['id']})" if chain.last else "an empty history"
        return chain.build_break(
            f"{end} does not match the signature: somebody without the store key rewrote the runs", chain.last
        )
    return ChainVerification(chain.runs, is_signed=True)
