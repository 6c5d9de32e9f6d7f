"""Any bytes are read or refused, and a snapshot accounts for every row."""

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.model.diagnostic import Refusal
from reconciler.oneroster.bundle import read_zip
from reconciler.oneroster.snapshot import Snapshot, build_quarantine_diagnostics
from tests.support.rosters.bundles import bundle
from tests.support.rosters.reading import NOW

MADE = (
    bundle(users=12),
    bundle(users=12).version12(),
    bundle(users=12).with_user("u-0003", orgSourcedIds="s-1,s-2", givenName='A "B" C', email="zoë@example.com"),
)
SCRAPS = st.sampled_from(
    [
        b'"',
        b",",
        b"\n",
        b"\r",
        b"\x00",
        b"\xff",
        b"\xef\xbb\xbf",
        b'"",',
        b";",
        b"\t",
        b" ",
        b"\xc2\xa0",
        b"E+",
        b'"\n"',
        b"",
    ]
)


def outcome(path: Path) -> Snapshot | None:
    try:
        snapshot = read_zip(path, fetched_at=NOW)
    except Refusal:
        return None
    assert all(map(str, (*snapshot.diagnostics, *build_quarantine_diagnostics(snapshot.quarantine))))
    return snapshot


@given(
    made=st.sampled_from(MADE), hits=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), min_size=1, max_size=4)
)
@settings(max_examples=60, deadline=None)
def test_an_archive_with_changed_bytes_is_read_or_refused(made, hits: list[tuple[float, int]]) -> None:
    with TemporaryDirectory() as folder:
        path = made.zip(Path(folder) / "roster.zip")
        content = bytearray(path.read_bytes())
        for share, value in hits:
            content[int(share * (len(content) - 1))] = value
        path.write_bytes(content)
        snapshot = outcome(path)
        assert snapshot is None or snapshot.complete


@pytest.mark.slow
@given(
    made=st.sampled_from(MADE),
    file=st.sampled_from(["orgs.csv", "users.csv", "classes.csv", "enrollments.csv"]),
    hits=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 12), SCRAPS), min_size=1, max_size=5),
)
@settings(max_examples=100, deadline=None)
def test_damaged_rows_are_good_quarantined_or_reported(made, file: str, hits: list[tuple[float, int, bytes]]) -> None:
    content = bytearray(made.files()[file])
    for share, length, scrap in hits:
        at = int(share * len(content))
        content[at : at + length] = scrap
    with TemporaryDirectory() as folder:
        snapshot = outcome(made.raw(file, bytes(content)).zip(Path(folder) / "roster.zip"))
    if snapshot is None:
        return
    frame = getattr(snapshot, file.removesuffix(".csv"))
    assert frame["sourced_id"].null_count() == 0
    assert frame["sourced_id"].is_unique().all()
    assert snapshot.roles.filter("primary")["user"].sort().equals(snapshot.users["sourced_id"].sort().alias("user"))
    aside = snapshot.quarantine.filter(snapshot.quarantine["file"] == file)["line"]
    assert aside.is_unique().all()
    assert not frame["line"].is_in(aside.implode()).any()
    skipped = any(each.code in ("repeated-row", "empty-row") for each in snapshot.diagnostics)
    assert skipped or frame.height + aside.len() == snapshot.rows[file.removesuffix(".csv")]
