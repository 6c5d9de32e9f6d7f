"""The pull request that the documentation shows: what it says, and that its pictures can be drawn."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from demo import pull_request

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> pull_request.CiOutput:
    return pull_request.build_example(tmp_path_factory.mktemp("pull-request"))


@pytest.mark.slow
def test_comment_begins_with_what_a_reviewer_must_see(shown: pull_request.CiOutput) -> None:
    above = shown.comment.split("<details>")[0]
    order = [
        "Protections weakened",
        "rostering.limits.users.percent",
        "Held for approval",
        "To remove",
        "spittle-county",
    ]
    places = [above.index(words) for words in order[:4]]
    assert places == sorted(places)
    assert all(words in above for words in order)
    assert "Lincoln Elementary (s-lincoln) would lose everyone: 14 of 14." in above
    assert len(re.findall(r"remove person", above)) == 14
    assert "support.email" not in above
    assert "12 customers" in shown.comment


@pytest.mark.slow
def test_both_pictures_are_drawn_and_a_page_shows_them(shown: pull_request.CiOutput, tmp_path: Path) -> None:
    if shutil.which("chromium") is None:
        pytest.skip("there is no chromium on this machine")
    pull_request.record_pictures(shown, tmp_path)
    page = (ROOT / "docs" / "how-to" / "ci.md").read_text(encoding="utf-8")
    for name in ("pull-request-comment", "pull-request-report"):
        picture = (tmp_path / f"{name}.png").read_bytes()
        assert picture.startswith(b"\x89PNG")
        assert len(picture) > 50_000
        assert f"](../{name}.png)" in page
        assert (ROOT / "docs" / f"{name}.png").exists()
