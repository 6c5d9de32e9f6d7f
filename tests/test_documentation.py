"""The documentation is a promise: every command in it runs and prints what it says, and every link leads somewhere."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from reconciler.cli.reference_pages import render_pages
from tests.support.pages.blocks import find_commands, mask_varying
from tests.support.pages.play import ROOT, find_pages, play_page
from tests.support.pages.references import find_code_spans, is_real

DOCS = ROOT / "docs"
AT_THE_ROOT = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "ARCHITECTURE.md")]
LONGEST_PAGE = 250
LONGEST_README = 900
#: a page with more commands takes long
FEW_COMMANDS = 4

LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)\s]*)?\)")
LOADED = re.compile(r"""<(?:script|link|img|iframe|source)\b[^>]*?\b(?:src|href)=["']?((?:https?:)?//[^"' >]+)""")
CANONICAL = re.compile(r"<link[^>]*rel=[\"']?(?:canonical|prev|next)[^>]*>")
DECISION = re.compile(r"# (\d{4})\. (.+)\n\nStatus: (accepted|replaced by .+)<br>\nDate: (\d{4}-\d\d-\d\d)\n\n## ")


def _mark_pages() -> list[object]:
    return [
        pytest.param(
            page,
            id=str(page.relative_to(ROOT)),
            marks=[pytest.mark.slow] if len(find_commands(page.read_text(encoding="utf-8"))) > FEW_COMMANDS else [],
        )
        for page in find_pages()
    ]


@pytest.mark.parametrize("page", _mark_pages())
def test_every_command_of_a_page_prints_as_shown(page: Path, tmp_path: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert mask_varying(play_page(text, tmp_path)) == mask_varying(text), (
        "make record writes what the commands print now"
    )


@pytest.mark.parametrize("name", render_pages())
def test_a_page_made_from_code_is_up_to_date(name: str) -> None:
    committed = (DOCS / "reference" / name).read_text(encoding="utf-8")
    assert committed == render_pages()[name], "python -m reconciler.cli.reference_pages docs/reference"


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").split()) <= LONGEST_README


def test_no_page_is_long() -> None:
    lengths = {page: len(page.read_text(encoding="utf-8").splitlines()) for page in DOCS.rglob("*.md")}
    assert {page for page, length in lengths.items() if length > LONGEST_PAGE} == set()


@pytest.mark.parametrize("page", AT_THE_ROOT, ids=lambda page: page.name)
def test_links_of_the_root_pages_lead_to_files(page: Path) -> None:
    links = LINK.findall(page.read_text(encoding="utf-8"))
    assert [link for link in links if "://" not in link and not (ROOT / link).exists()] == []


def test_all_that_the_architecture_names_exists() -> None:
    spans = find_code_spans((ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8"))
    assert len(spans) > 100
    assert [span for span in spans if not is_real(span)] == []


def test_every_file_that_contributors_are_sent_to_is_there() -> None:
    spans = find_code_spans((ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"))
    named = [span for span in spans if "/" in span and " " not in span]
    assert named
    assert [span for span in named if not is_real(span)] == []


@pytest.mark.parametrize(
    "span",
    [
        "planning/no_such_module.py",
        "no_such_room/",
        "planning/decision/roster_decision.py:no_such_function",
        "planning/holds/order.py:HoldStep.no_such_field",
        "tests/test_documentation.py::test_of_nothing",
        "make nothing",
        "make test-one ROOM=nowhere",
        "reconciler nothing",
        "Snapshot",
    ],
)
def test_what_does_not_exist_is_found_out(span: str) -> None:
    assert not is_real(span)


def test_architecture_layers_are_those_of_the_contracts() -> None:
    configuration = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = [each for each in configuration["tool"]["importlinter"]["contracts"] if each["type"] == "layers"]
    page = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    block = next(each for each in re.findall(r"```text\n(.*?)```", page, re.DOTALL) if each.startswith("reconciler: "))
    shown = [" ".join(entry.split()) for entry in re.split(r"\n(?=\S)", block.strip())]
    assert sorted(shown) == sorted(_format_layers(contract) for contract in contracts)


def _format_layers(contract: dict[str, Any]) -> str:
    """As the architecture shows them: the package, and its layers from the highest to the lowest."""
    layers: list[str] = contract["layers"]
    package: str = contract["containers"][0] if "containers" in contract else layers[0].rpartition(".")[0]
    return f"{package}: {' → '.join(layers).replace(f'{package}.', '')}"


def test_decisions_share_a_head_and_are_indexed() -> None:
    index = (DOCS / "decisions" / "index.md").read_text(encoding="utf-8")
    decisions = sorted((DOCS / "decisions").glob("0*.md"))
    for decision in decisions:
        head = DECISION.match(decision.read_text(encoding="utf-8"))
        assert head is not None, decision
        number, title, status, day = head.groups()
        assert decision.name.startswith(number)
        assert f"| [{number}. {title}]({decision.name}) | {day} | {status} |" in index
    assert index.count("](0") == len(decisions)


def test_site_builds_without_warnings_or_requests_to_other_hosts(tmp_path: Path) -> None:
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    for page in tmp_path.rglob("*.html"):
        assert LOADED.findall(CANONICAL.sub("", page.read_text(encoding="utf-8"))) == [], page
    for sheet in tmp_path.rglob("*.css"):
        assert not re.search(r"(?:url\(|@import)\s*[\"']?(?:https?:)?//", sheet.read_text(encoding="utf-8")), sheet
