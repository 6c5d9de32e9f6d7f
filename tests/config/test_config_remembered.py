"""Customers remembered from an earlier reading are exactly those that the files say, and nobody else can bring any."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from customer_files import TODAY, Files, next_tick
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.config import repository
from reconciler.config.cache import customers as remembered
from reconciler.config.cache import stamps
from reconciler.config.cache.recalled import RecalledCustomer
from reconciler.config.repository import Repository, load
from reconciler.config.resolved import ResolvedCustomer
from reconciler.config.yaml.documents import to_document

EXAMPLES = Path(__file__).parents[2] / "customers"
CUSTOMERS = Path("customers")
LTI = """\
lti:
  platforms:
    - {{id: canvas, consumer_key: {key}, shared_secret: {{secret: canvas}}, community: high}}
"""


@pytest.fixture(params=["by content", "by stamp"])
def cache(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """by stamp: as if everything had been written long ago."""
    monkeypatch.setenv(remembered.VARIABLE, str(tmp_path / "cache"))
    if request.param == "by stamp":
        monkeypatch.setattr(stamps, "_clock", later)
    return tmp_path / "cache"


@pytest.fixture
def district(files: Files, cache: Path) -> Files:
    """Two customers with everything that one can have, valid and with a warning, read once."""
    files.write(
        "customers/defaults.yaml", "kind: defaults\ntimezone: America/Chicago\ncommunity: {login_timeout: 6h}\n"
    )
    files.write("customers/lessons/cells.yaml", "kind: lesson\nid: cells\ntitle: C\nurl: https://l.example/c\n")
    for name in ("springfield", "shelbyville"):
        files.customer(LTI.format(key=f"{name}-canvas") + "notify: {email: [ann@a.example]}\n", name=name)
        files.community("lessons: [cells, own]\n", of=name)
        files.lesson(f"customers/{name}", "own")
        files.write(f"customers/{name}/notes.yaml", "kind: lesson\n")
    warm()
    return files


def later() -> int:
    return time.time_ns() + 2 * stamps.QUIET


def warm(today: date = TODAY) -> Repository:
    found = load(CUSTOMERS, today=today, remembering=True)
    next_tick()
    return found


def cold(today: date = TODAY) -> Repository:
    return load(CUSTOMERS, today=today)


def recalled(found: Repository) -> set[str]:
    return {name for name, each in found.customers.items() if isinstance(each, RecalledCustomer)}


def content(found: Repository) -> dict[str, Any]:
    """All that a repository says."""
    return {
        "settings": (found.sound_settings, found.settings_errors, dict(found.settings_origins)),
        "customers": {name: _customer(each) for name, each in found.customers.items()},
        "order": list(found.customers),
        "invalid": dict(found.invalid),
        "catalogue": found.catalogue,
        "diagnostics": found.diagnostics,
        "files": found.file_names,
        "folders": {name: (each.id, each.path) for name, each in found.folders.items()},
    }


def _customer(each: ResolvedCustomer) -> dict[str, Any]:
    return {
        "self": (each.id, each.span, each.warnings, each.name, each.previously, each.digest),
        # the order of what has ids means nothing
        "models": [to_document(each.customer)]
        + [(name, to_document(one)) for part in (each.communities, each.lessons) for name, one in part.items()],
        "declared": [(one.kind, one.id, one.span, one.document, dict(one.origins)) for one in each.declared],
        "order": [list(one.document) for one in each.declared],
    }


def test_the_examples_are_the_same_from_memory(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(EXAMPLES.parent)
    warm()
    again = warm()
    assert recalled(again) == set(again.customers) != set()
    assert content(again) == content(cold())


def test_a_customer_that_was_read_is_not_read_again(district: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repository, "open_candidate", lambda *_: pytest.fail("it was read"))
    assert recalled(warm()) == {"springfield", "shelbyville"}


def test_warnings_are_told_again(district: Files) -> None:
    told = [each for each in warm().diagnostics if each.code == "ignored-file"]
    assert [each.span.file for each in told if each.span] == [
        "customers/shelbyville/notes.yaml",
        "customers/springfield/notes.yaml",
    ]


@pytest.mark.parametrize(
    ("name", "old", "new", "reread"),
    [
        ("customers/springfield/customer.yaml", "Springfield Unified", "Springfield United", {"springfield"}),
        ("customers/springfield/customer.yaml", "\n", "\n\n", {"springfield"}),
        ("customers/springfield/communities/high.yaml", "seats: 100", "seats: 101", {"springfield"}),
        ("customers/shelbyville/lessons/own.yaml", "Cells", "Celts", {"shelbyville"}),
        ("customers/defaults.yaml", "America/Chicago", "America/Denver", {"springfield", "shelbyville"}),
        ("customers/lessons/cells.yaml", "title: C", "title: D", set()),
    ],
)
def test_a_byte_that_changed_is_seen(district: Files, name: str, old: str, new: str, reread: set[str]) -> None:
    path = district.folder / name
    times = path.stat().st_mtime_ns
    path.write_text(path.read_text().replace(old, new, 1))
    os.utime(path, ns=(times, times))

    found = warm()
    assert set(found.customers) - recalled(found) == reread
    assert content(found) == content(cold())


def test_other_names_of_files_and_of_shared_lessons_are_seen(district: Files) -> None:
    (district.folder / "customers/lessons/cells.yaml").rename(district.folder / "customers/lessons/atoms.yaml")
    found = warm()
    assert set(found.invalid) == {"springfield", "shelbyville", "@catalogue"}
    assert content(found) == content(cold())

    (district.folder / "customers/lessons/atoms.yaml").rename(district.folder / "customers/lessons/cells.yaml")
    warm()
    (district.folder / "customers/springfield/communities/high.yml").write_text("kind: community\n")
    found = warm()
    assert set(found.invalid) == {"springfield"}
    assert content(found) == content(cold())


def test_another_network_is_seen(district: Files) -> None:
    district.customer(
        "rostering:\n  type: oneroster\n  client_partner_id: o\n  match_with: identifier\n"
        "  sync: {type: api, url: 'http://10.0.0.1/ims/oneroster/v1p1', authorization: oauth1, consumer_key: k,"
        " secret_key: {secret: s}}\n",
        name="springfield",
    )
    district.write("reconciler.yaml", "network: {allow: [10.0.0.1]}\n")
    assert "springfield" in warm().customers
    district.write("reconciler.yaml", "network: {allow: []}\n")

    found = warm()
    assert "springfield" in found.invalid
    assert content(found) == content(cold())


def test_a_day_before_the_agreements_is_seen_although_they_were_valid_later(district: Files) -> None:
    early = date(2026, 7, 1)
    assert set(warm(early).invalid) == {"springfield", "shelbyville"}
    assert content(warm(early)) == content(cold(early))
    warm()
    tomorrow = warm(TODAY + timedelta(days=1))
    assert recalled(tomorrow) == {"springfield", "shelbyville"}


def test_what_customers_must_not_share_is_compared_with_those_from_memory(district: Files) -> None:
    district.customer(LTI.format(key="shelbyville-canvas"), name="springfield")
    found = warm()
    assert set(found.invalid) == {"springfield", "shelbyville"}
    assert content(found) == content(cold())

    shutil.copytree(district.folder / "customers/shelbyville", district.folder / "customers/more/shelbyville")
    assert content(warm()) == content(cold())


def test_an_invalid_customer_is_read_each_time(district: Files) -> None:
    district.customer("nmae: x\n", name="springfield")
    for _ in range(2):
        found = warm()
        assert "springfield" in found.invalid
        assert recalled(found) == {"shelbyville"}


def _broken(path: Path) -> Iterator[bytes]:
    whole = path.read_bytes()
    yield b""
    yield whole[:-1]
    yield whole[: len(whole) // 2]
    yield whole.replace(b"Springfield", b"Springfeild")
    yield whole.replace(b" customers 3\n", b" customers 2\n", 1)
    yield b"\x80\x04\x95"


def test_a_file_that_is_not_whole_is_passed_over_and_written_anew(district: Files, cache: Path) -> None:
    (path,) = cache.iterdir()
    for data in list(_broken(path)):
        path.write_bytes(data)
        found = warm()
        assert recalled(found) == set()
        assert content(found) == content(cold())
        assert recalled(warm()) == {"springfield", "shelbyville"}


def test_a_file_that_others_could_have_written_is_passed_over(district: Files, cache: Path) -> None:
    (path,) = cache.iterdir()
    assert (path.stat().st_mode & 0o777, cache.stat().st_mode & 0o777) == (0o600, 0o700)
    path.chmod(0o660)
    assert recalled(warm()) == set()

    (path,) = cache.iterdir()
    elsewhere = path.rename(cache.parent / "elsewhere")
    path.symlink_to(elsewhere)
    assert recalled(warm()) == set()


def test_another_program_reads_anew(district: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    remembered._program.cache_clear()
    monkeypatch.setattr("reconciler.__version__", "0.0.0-other")
    assert recalled(warm()) == set()
    remembered._program.cache_clear()


def test_what_was_not_used_is_dropped(district: Files, cache: Path) -> None:
    (path,) = cache.iterdir()
    both = path.stat().st_size
    shutil.rmtree(district.folder / "customers/shelbyville")
    warm()
    assert path.stat().st_size < both * 2 / 3
    assert [each.name for each in cache.iterdir()] == [path.name]


def test_nothing_is_remembered_where_it_is_turned_off(
    files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(remembered.VARIABLE, "off")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    files.customer()
    warm()
    assert not (tmp_path / "xdg").exists()
    assert recalled(warm()) == set()


def test_its_place_is_never_within_the_repository(tmp_path: Path) -> None:
    assert remembered.place_of(CUSTOMERS, {}) is None
    assert remembered.place_of(CUSTOMERS, {"XDG_CACHE_HOME": "relative"}) is None
    home = remembered.place_of(CUSTOMERS, {"HOME": "/home/ann"})
    assert home is not None
    assert home.parent == Path("/home/ann/.cache/reconciler")
    xdg = remembered.place_of(CUSTOMERS, {"HOME": "/home/ann", "XDG_CACHE_HOME": "/x"})
    assert xdg is not None
    assert xdg.parent == Path("/x/reconciler")


def test_a_folder_that_cannot_be_written_costs_nothing_but_time(
    files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv(remembered.VARIABLE, str(tmp_path / "file"))
    files.customer()
    assert content(warm()) == content(cold())


NAMES = ("springfield", "shelbyville", "ogdenville")
EDITS = st.lists(
    st.tuples(
        st.sampled_from(NAMES),
        st.sampled_from(
            (
                "",
                "timezone: America/Denver\n",
                "timezone: null\n",
                "support: {email: help@a.example}\n",
                "notify: {email: [a@b.example]}\n",
                "previously: [capital]\n",
                LTI.format(key="same"),
                "wrong: 1\n",
                "agreements: {}\n",
                ": :\n",
                "gone",
            )
        ),
        st.sampled_from(
            ("", "kind: defaults\n", "kind: defaults\ntimezone: Europe/Paris\nsupport: {url: https://h.example}\n")
        ),
    ),
    min_size=2,
    max_size=5,
)


@settings(max_examples=30)
@given(edits=EDITS, by_stamp=st.booleans())
def test_whatever_is_edited_the_second_reading_is_as_the_first(
    edits: list[tuple[str, str, str]], by_stamp: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("edited")
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(folder)
        patched.setenv(remembered.VARIABLE, str(folder / "cache"))
        if by_stamp:
            patched.setattr(stamps, "_clock", later)
        files = Files(folder)
        for name in NAMES:
            files.customer(name=name)
            files.community(of=name)
        warm()
        for name, more, defaults in edits:
            if more == "gone":
                shutil.rmtree(folder / "customers" / name, ignore_errors=True)
            else:
                files.customer(more, name=name)
                files.community(of=name)
            if defaults:
                files.write("customers/defaults.yaml", defaults)
            assert content(warm()) == content(cold())
        assert content(warm()) == content(cold())
