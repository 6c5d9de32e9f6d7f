"""Which file is the roster, whether it is whole, and where a path leads: decisions made without a server."""

from __future__ import annotations

import fnmatch
import hashlib
import posixpath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.model.diagnostic import Refusal
from reconciler.oneroster.sources.sftp import listing as marker
from reconciler.oneroster.sources.sftp import messages as remarks
from reconciler.oneroster.sources.sftp.account import SftpAccount
from reconciler.oneroster.sources.sftp.download import is_unchanged
from reconciler.oneroster.sources.sftp.find import (
    TooManyLinksError,
    check_path,
    is_within,
    make_absolute,
    resolve_links,
)
from reconciler.oneroster.sources.sftp.listing import (
    EntryKind,
    FileFacts,
    Pick,
    RemoteEntry,
    choose_roster_file,
    is_ignored,
    match_entries,
    sort_entries,
    split_csv_files,
)
from reconciler.oneroster.sources.sftp.messages import format_names, sanitize_name
from reconciler.oneroster.sources.sftp.target import RemoteFile, RemoteRoster

NOW = 1_800_000_000.0
DAY = 86_400


def entry(name: str, age: float = 0, kind: EntryKind = "file", size: int = 10) -> RemoteEntry:
    """age: days before now; below 0, in the future."""
    return RemoteEntry(name, kind, FileFacts(size, int(NOW - age * DAY)))


@pytest.mark.parametrize(
    "name",
    [
        "roster.zip.filepart",
        "roster.zip.part",
        "roster.tmp",
        "roster.zip.TMP",
        "roster.zip.partial",
        "roster.zip.crdownload",
        ".roster.zip",
        ".roster.zip.a8Xq2",
        "roster.zip.done",
        "roster.zip.sha256",
        "roster.zip.ready",
    ],
)
def test_unfinished_hidden_and_marker_files_are_no_roster(name: str) -> None:
    assert is_ignored(name, ".ready")
    assert match_entries([entry(name)], "*", ".ready") == []


@pytest.mark.parametrize("name", ["roster.zip", "department.zip", "tmp.zip", "roster.done.zip", "part"])
def test_other_names_may_be_one(name: str) -> None:
    assert not is_ignored(name, ".ready")
    assert [each.name for each in match_entries([entry(name)], "*", ".ready")] == [name]


def test_folders_and_devices_fit_no_pattern() -> None:
    entries = [entry("a.zip", kind="folder"), entry("b.zip", kind="other"), entry("c.zip", kind="link")]
    assert [each.name for each in match_entries(entries, "*.zip")] == ["c.zip"]


def test_a_pattern_tells_upper_case_from_lower() -> None:
    assert match_entries([entry("ROSTER.ZIP")], "*.zip") == []


@pytest.mark.parametrize(
    ("pick", "entries", "taken", "others"),
    [
        ("newest", [entry("a", 2), entry("b", 1), entry("c", 3)], "b", ("a", "c")),
        ("newest", [entry("a", 1), entry("b", 1)], "b", ("a",)),
        ("last_by_name", [entry("r-1", 0), entry("r-3", 9), entry("r-2", 1)], "r-3", ("r-2", "r-1")),
        # A time in the future is as good as now, and not better.
        ("newest", [entry("a", -9), entry("b", 0)], "b", ("a",)),
        ("newest", [entry("a", -1), entry("b", -9), entry("c", 1)], "b", ("a", "c")),
    ],
)
def test_the_declared_rule_takes_one_and_lists_the_others(
    pick: Pick, entries: list[RemoteEntry], taken: str, others: tuple[str, ...]
) -> None:
    choice = choose_roster_file(entries, pick, NOW)
    assert choice.best is not None
    assert (choice.best.name, choice.other_names, choice.incomplete_names) == (taken, others, ())


def test_newer_file_without_its_marker_is_skipped_and_named() -> None:
    entries = [entry("new.zip", 0), entry("old.zip", 1), entry("older.zip", 2)]
    choice = choose_roster_file(entries, "newest", NOW, {"new.zip": False, "old.zip": True, "older.zip": True})
    assert choice.best is not None
    assert (choice.best.name, choice.incomplete_names, choice.other_names) == ("old.zip", ("new.zip",), ("older.zip",))


def test_where_no_file_has_its_marker_none_is_taken() -> None:
    choice = choose_roster_file([entry("a.zip")], "newest", NOW, {})
    assert (choice.best, choice.incomplete_names) == (None, ("a.zip",))


@given(st.lists(st.tuples(st.text("ab", min_size=1, max_size=4), st.integers(-9, 9)), unique_by=lambda pair: pair[0]))
def test_choice_does_not_depend_on_listing_order(pairs: list[tuple[str, int]]) -> None:
    entries = [entry(name, age) for name, age in pairs]
    for pick in ("newest", "last_by_name"):
        assert choose_roster_file(entries, pick, NOW) == choose_roster_file(entries[::-1], pick, NOW)  # type: ignore[arg-type]
        assert sorted(each.name for each in sort_entries(entries, pick, NOW)) == sorted(name for name, _ in pairs)  # type: ignore[arg-type]


@given(st.text("ab.*?", min_size=1, max_size=5), st.lists(st.text("ab.", min_size=1, max_size=4), unique=True))
def test_what_fits_is_what_a_shell_would_list(pattern: str, names: list[str]) -> None:
    found = {each.name for each in match_entries([entry(name) for name in names], pattern)}
    assert found == {name for name in names if fnmatch.fnmatchcase(name, pattern) and not name.startswith(".")}


def test_folder_keeps_csv_files_and_names_the_rest() -> None:
    entries = [
        entry("users.CSV"),
        entry("orgs.csv"),
        entry("notes.txt"),
        entry("old", kind="folder"),
        entry("users.csv.filepart"),
        entry(".orgs.csv"),
        entry("x.csv", kind="folder"),
    ]
    kept, left = split_csv_files(entries)
    assert [each.name for each in kept] == ["orgs.csv", "users.CSV"]
    assert left == [".orgs.csv", "notes.txt", "old", "users.csv.filepart", "x.csv"]


@pytest.mark.parametrize(
    ("found", "state"),
    [(None, "missing"), (FileFacts(0, 99), "older"), (FileFacts(0, 100), "done"), (FileFacts(0, 101), "done")],
)
def test_marker_counts_unless_older_than_the_roster(found: FileFacts | None, state: str) -> None:
    assert marker.get_marker_state(FileFacts(5, 100), found) == state


ONE, OTHER = (hashlib.sha256(text).hexdigest() for text in (b"one", b"other"))


@pytest.mark.parametrize(
    ("text", "digest"),
    [
        (ONE, ONE),
        (f"{ONE.upper()}\n", ONE),
        (f"{ONE}  roster.zip\n", ONE),
        (f"{ONE} *roster.zip\r\n", ONE),
        (f"\ufeff{ONE}  ./out/roster.zip\n", ONE),
        (f"SHA256 (roster.zip) = {ONE}\n", ONE),
        (f"{OTHER}  users.csv\n{ONE}  roster.zip\n", ONE),
        (f"{ONE}  other.zip\n", None),
        (f"{ONE}\n{OTHER}  other.zip\n", None),
        ("", None),
        ("done\n", None),
        (ONE[:-1], None),
        (f"{ONE}  roster.zip\nand more\n", None),
    ],
)
def test_a_digest_is_read_as_sha256sum_writes_it(text: str, digest: str | None) -> None:
    assert marker.find_digest(text, "roster.zip") == digest


def test_folder_files_and_digests_must_correspond() -> None:
    path, names = "/out/daily", ["orgs.csv", "users.csv"]
    fits = {"orgs.csv": ONE, "users.csv": OTHER, "readme.txt": ONE}
    assert remarks.check_digest_names(path, ".sha256", fits, names) == ()
    problems = remarks.check_digest_names(path, ".sha256", {"orgs.csv": ONE, "classes.csv": ONE}, names)
    assert [each.code for each in problems] == ["file-of-digest-missing", "digest-unreadable"]
    assert "classes.csv" in problems[0].message
    assert "users.csv" in problems[1].message


@pytest.mark.parametrize(
    ("path", "home", "found"),
    [
        ("/out/roster.zip", "/home/us", "/out/roster.zip"),
        ("out/roster.zip", "/home/us", "/home/us/out/roster.zip"),
        ("/out/daily/", "/", "/out/daily"),
        ("//out/./x/../roster.zip", "/", "/out/roster.zip"),
        ("../../../roster.zip", "/home", "/roster.zip"),
    ],
)
def test_path_begins_at_the_root_or_sign_in_directory(path: str, home: str, found: str) -> None:
    assert make_absolute(path, home) == found


LINKS = {
    "/out/today.zip": "2026/roster.zip",
    "/out/away.zip": "../etc/shadow",
    "/out/far.zip": "/etc/shadow",
    "/out/chain": "step",
    "/out/step": "./2026",
    "/data": "/srv/data",
    "/out/round": "turn",
    "/out/turn": "round",
    "/out/self": "self/x",
}


@pytest.mark.parametrize(
    ("path", "end", "stays"),
    [
        ("/out/roster.zip", "/out/roster.zip", True),
        ("/out/today.zip", "/out/2026/roster.zip", True),
        ("/out/chain/roster.zip", "/out/2026/roster.zip", False),
        ("/out/away.zip", "/etc/shadow", False),
        ("/out/far.zip", "/etc/shadow", False),
        ("/data/roster.zip", "/srv/data/roster.zip", False),
    ],
)
def test_every_link_of_a_path_is_followed(path: str, end: str, stays: bool) -> None:
    assert resolve_links(path, LINKS.get) == end
    assert is_within(posixpath.dirname(path), end) is stays


@pytest.mark.parametrize("path", ["/out/round", "/out/self"])
def test_links_that_lead_in_a_circle_are_given_up(path: str) -> None:
    with pytest.raises(TooManyLinksError):
        resolve_links(path, LINKS.get)


@given(st.dictionaries(st.sampled_from(["/a", "/b", "/a/b"]), st.sampled_from(["b", "..", "/a", "../a/./b", "/"])))
def test_what_is_followed_has_no_links_left(links: dict[str, str]) -> None:
    try:
        end = resolve_links("/a/b/c", links.get)
    except TooManyLinksError:
        return
    parts = [part for part in end.split("/") if part]
    assert not {"/" + "/".join(parts[: count + 1]) for count in range(len(parts))} & set(links)
    assert resolve_links(end, links.get) == end


def test_folder_is_not_inside_one_with_a_common_prefix() -> None:
    assert not is_within("/out", "/outside/roster.zip")
    assert is_within("/", "/roster.zip")


@pytest.mark.parametrize(
    ("now", "goes"), [(FileFacts(5, 9), True), (FileFacts(6, 9), False), (FileFacts(5, 10), False), (None, False)]
)
def test_transfer_resumes_only_in_the_same_file(now: FileFacts | None, goes: bool) -> None:
    assert is_unchanged(FileFacts(5, 9), now) is goes


def target(*files: tuple[str, int, int], digests: dict[str, str] | None = None) -> RemoteRoster:
    made = tuple(RemoteFile(name, f"/out/{name}", FileFacts(size, mtime)) for name, size, mtime in files)
    return RemoteRoster("/out", made, True, digests or {})


def test_two_looks_agree_only_if_nothing_changed() -> None:
    first = target(("orgs.csv", 5, 9), ("users.csv", 5, 9))
    assert first.is_same_as(target(("orgs.csv", 5, 9), ("users.csv", 5, 9)))
    for other, name in (
        (target(("orgs.csv", 5, 9)), "users.csv"),
        (target(("orgs.csv", 5, 9), ("users.csv", 6, 9)), "users.csv"),
        (target(("orgs.csv", 5, 8), ("users.csv", 5, 9)), "orgs.csv"),
        (target(("orgs.csv", 5, 9), ("users.csv", 5, 9), digests={"orgs.csv": ONE}), "/out"),
    ):
        assert not first.is_same_as(other)
        assert other.find_difference(first) == name


def account(path: str, **more: object) -> SftpAccount:
    return SftpAccount("sftp.springfield.example", 22, "us", path, None, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("path", "pick", "code"),
    [
        ("/out/*/roster.zip", "newest", "pattern-in-folder"),
        ("/out/[0-9]/", None, "pattern-in-folder"),
        ("/out/*.zip", None, "pick-missing"),
    ],
)
def test_impossible_path_is_refused_before_connecting(path: str, pick: Pick, code: str) -> None:
    if path.endswith("/"):
        path += "x"
    with pytest.raises(Refusal) as refusal:
        check_path(account(path, pick=pick))
    assert [each.code for each in refusal.value.diagnostics] == [code]
    assert refusal.value.diagnostics[0].hint


def test_missing_name_is_reported_with_ten_present_ones() -> None:
    there = [f"file-{number:02}.zip" for number in range(12)]
    said = remarks.make_file_missing_error("/out/file-99.zip", "/out/file-99.zip", there)
    assert "file-09.zip and 2 more" in said.message
    assert "file-10.zip" not in said.message
    assert said.hint is not None
    assert "Did you mean file-" in said.hint


def test_a_name_that_differs_in_case_alone_is_suggested() -> None:
    said = remarks.make_file_missing_error("/out/roster.zip", "/out/roster.zip", ["Roster.ZIP", "notes.txt"])
    assert "Did you mean Roster.ZIP?" in str(said.hint)


@given(st.lists(st.text(max_size=200), max_size=30))
def test_names_are_shown_without_what_a_terminal_obeys(names: list[str]) -> None:
    assert format_names(names).isprintable()
    assert len(format_names(names)) < 10 * 90 + 30


@pytest.mark.parametrize("name", ["a\x1b[31mb", "a\u202eb", "a\nb", "a\udcffb", "a\x00b"])
def test_a_name_turns_no_line_around(name: str) -> None:
    assert sanitize_name(name).startswith("a?")
