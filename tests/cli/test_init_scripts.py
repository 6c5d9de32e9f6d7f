"""What the scaffold's scripts decide, each by itself: owners, verdicts, signed records, and files laid out as data."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

TEMPLATES = Path(__file__).resolve().parents[2] / "reconciler/cli/templates/init"
SCRIPTS = TEMPLATES / "ci/.ci"
NAMES = ("forge", "owners", "program", "record", "tree", "verdict")


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A module of the scaffold by its name."""
    monkeypatch.syspath_prepend(str(TEMPLATES / "github/.ci"))
    monkeypatch.syspath_prepend(str(SCRIPTS))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.setenv("RECONCILER_PROJECT", "reader/customers")
    monkeypatch.setenv("RECONCILER_KEY", "00" * 32)

    def load(name: str) -> ModuleType:
        return importlib.import_module(name)

    yield load
    for name in NAMES:
        sys.modules.pop(name, None)


# --- owners

CODEOWNERS = """\
# everybody
* @all
*.md            # nobody
/customers/ @desk @reader/team   # the desk
/customers/springfield/ @springfield
/customers/*/customer.yaml @lead
lessons/ @teachers
/customers/**/high.yaml @high
docs/*.txt ann@reader.example
"""


@pytest.mark.parametrize(
    ("path", "people"),
    [
        ("reconciler.yaml", ["@all"]),
        (".ci/plan.py", ["@all"]),
        ("README.md", []),
        ("deep/README.md", []),
        ("customers/defaults.yaml", ["@desk", "@reader/team"]),
        ("other/customers/defaults.yaml", ["@all"]),
        ("customers/springfield/communities/low.yaml", ["@springfield"]),
        ("customers/springfield/customer.yaml", ["@lead"]),
        ("customers/group/springfield/customer.yaml", ["@desk", "@reader/team"]),
        ("customers/lessons/cells.yaml", ["@teachers"]),
        ("customers/springfield/lessons/own.yaml", ["@teachers"]),
        ("customers/springfield/communities/high.yaml", ["@high"]),
        ("docs/a.txt", ["ann@reader.example"]),
        ("docs/more/a.txt", ["@all"]),
        ("customers/springfield\nx", ["@desk", "@reader/team"]),
    ],
)
def test_last_matching_line_names_the_owners(script: Any, tmp_path: Path, path: str, people: list[str]) -> None:
    (tmp_path / "CODEOWNERS").write_text(CODEOWNERS)
    owners = script("owners")
    assert owners.find_owners(owners.read_rules(tmp_path), path) == people


def test_without_codeowners_nobody_owns_anything(script: Any, tmp_path: Path) -> None:
    owners = script("owners")
    assert owners.find_owners(owners.read_rules(tmp_path), "reconciler.yaml") == []


@pytest.mark.parametrize("head", ["[Desk] @desk", "^[Desk]", "[Desk][2]"])
def test_a_section_is_refused_rather_than_misread(script: Any, tmp_path: Path, head: str) -> None:
    (tmp_path / "CODEOWNERS").write_text(f"* @all\n{head}\n")
    with pytest.raises(SystemExit, match="CODEOWNERS:2: sections are not supported"):
        script("owners").read_rules(tmp_path)


# --- verdicts

FILE = "customers/springfield/customer.yaml"


def plan(**summary: int) -> dict[str, Any]:
    return {"summary": summary, "customers": []}


@pytest.mark.parametrize(
    ("code", "summary", "files", "state", "word"),
    [
        (0, {}, [FILE], "success", "clear"),
        (2, {"update": 3, "delete": 1}, [FILE], "success", "clear"),
        (3, {"held": 12}, [FILE], "failure", "waiting"),
        (2, {"held": 1}, [FILE], "failure", "waiting"),
        (3, {}, [FILE], "failure", "waiting"),
        (2, {"weakened": 1}, [FILE], "failure", "waiting"),
        (65, {}, [FILE], "failure", "waiting"),
        (2, {}, [FILE, ".ci/plan.py"], "failure", "waiting"),
        (0, {}, [".github/workflows/plan.yml"], "failure", "waiting"),
        (0, {}, [".gitlab-ci.yml"], "failure", "waiting"),
        (0, {}, ["reconciler.yaml"], "failure", "waiting"),
        (0, {}, ["README.md"], "success", "clear"),
    ],
)
def test_check_fails_on_holds_weakening_or_changed_checks(
    script: Any, code: int, summary: dict[str, int], files: list[str], state: str, word: str
) -> None:
    found = script("verdict").judge_proposal(code, plan(**summary), files, set(), lambda path, person: True)
    assert (found.state, found.review_status) == (state, word)
    assert len(found.sentence) <= 140


@pytest.mark.parametrize(
    ("weakened", "access", "doubts"),
    [
        (2, 2, "2 changes of access"),
        (3, 1, "2 protections weakened, 1 change of access"),
        (1, 0, "1 protection weakened"),
    ],
)
def test_199_the_check_tells_access_from_protections(script: Any, weakened: int, access: int, doubts: str) -> None:
    summary = plan(weakened=weakened, access=access)
    found = script("verdict").judge_proposal(2, summary, [FILE], set(), lambda path, person: True)
    assert (found.state, found.sentence.split(":")[0]) == ("failure", doubts)


def test_roster_that_would_be_held_fails_the_check(script: Any) -> None:
    shown = {"summary": {}, "customers": [{"would_hold": ["everyone of a school"]}, {"would_hold": []}]}
    found = script("verdict").judge_proposal(2, shown, [FILE], set(), lambda path, person: True)
    assert (found.state, found.sentence.split(":")[0]) == ("failure", "1 roster would be held")


def test_an_owner_of_every_file_makes_it_green(script: Any) -> None:
    files = [FILE, "customers/shelbyville/customer.yaml"]
    rights = {(files[0], "olga"), (files[1], "otto")}

    def owns(path: str, person: str) -> bool:
        return (path, person) in rights

    def word(*agreed: str) -> str:
        return str(script("verdict").judge_proposal(3, plan(held=1), files, agreed, owns).review_status)

    assert word("olga") == word("otto") == word("mallory") == "waiting"
    assert word("olga", "otto") == "approved"


def test_no_approval_makes_files_valid(script: Any) -> None:
    found = script("verdict").judge_proposal(65, plan(), [FILE], {"olga"}, lambda path, person: True)
    assert (found.state, found.review_status) == ("failure", "waiting")


def test_a_plan_of_no_files_is_approved_by_nobody(script: Any) -> None:
    found = script("verdict").judge_proposal(3, plan(held=1), [], {"olga"}, lambda path, person: True)
    assert found.state == "failure"


# --- records

HEAD = "a" * 40
PLAN = "sha256:" + "b" * 64


def test_record_reads_back_as_written_and_fits_a_status(script: Any) -> None:
    record = script("record")
    for word in (record.CLEAR, record.APPROVED, record.WAITING):
        written = record.ReviewRecord(7, HEAD, PLAN, word, record.compute_holds_digest(["springfield:1:abc"]))
        assert record.parse_record(written.line, 7, HEAD) == written
        assert len(written.line) <= 140


@pytest.mark.parametrize(
    "other",
    [
        lambda line: line.replace("waiting", "approved"),
        lambda line: line.replace("b" * 64, "c" * 64),
        lambda line: line[:-1] + ("0" if line[-1] != "0" else "1"),
        lambda line: line.rsplit(" ", 1)[0],
        lambda line: line + " ",
        lambda line: line.rsplit(" ", 1)[0] + " ü",
        lambda line: "",
        lambda line: None,
    ],
)
def test_an_altered_record_is_none(script: Any, other: Any) -> None:
    record = script("record")
    line = record.ReviewRecord(7, HEAD, PLAN, record.WAITING, record.compute_holds_digest([])).line
    assert record.parse_record(other(line), 7, HEAD) is None


def test_record_belongs_to_one_proposal_commit_project_and_store(script: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    record = script("record")
    line = record.ReviewRecord(7, HEAD, PLAN, record.CLEAR, record.compute_holds_digest([])).line
    assert record.parse_record(line, 8, HEAD) is None
    assert record.parse_record(line, 7, "c" * 40) is None
    for name in ("RECONCILER_PROJECT", "RECONCILER_KEY"):
        with monkeypatch.context() as changed:
            changed.setenv(name, "other")
            assert record.parse_record(line, 7, HEAD) is None
    assert record.parse_record(line, 7, HEAD) is not None


def test_a_digest_of_holds_knows_no_order(script: Any) -> None:
    digest = script("record").compute_holds_digest
    assert digest(["a", "b"]) == digest(["b", "a"]) != digest(["ab"])
    assert digest([]) != digest(["a"])


# --- files as data


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """`git` in a fresh repository, which is the current directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr("tempfile.tempdir", None)
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{role}_NAME", "Ann")
        monkeypatch.setenv(f"GIT_{role}_EMAIL", "ann@reader.example")

    def git(*arguments: str) -> str:
        return subprocess.run(["git", *arguments], check=True, capture_output=True, text=True).stdout.strip()

    def committed(**files: str) -> str:
        for name, text in files.items():
            Path(name).write_text(text)
        git("add", "-A", "--", ":!tmp")
        git("commit", "-q", "-m", "x")
        return git("rev-parse", "HEAD")

    git("init", "-q", "-b", "main")
    committed.git = git  # type: ignore[attr-defined]
    return committed


def test_files_are_laid_out_as_they_would_be_merged(script: Any, repository: Any) -> None:
    base = repository(ours="1\n", theirs="1\n")
    repository.git("switch", "-q", "-c", "side")
    head = repository(theirs="2\n", new="1\n")
    repository.git("switch", "-q", "main")
    main = repository(ours="2\n")
    tree = script("tree")
    commit = tree.create_merge_commit(main, head)
    folder = tree.lay_out(commit)
    assert {path.name: path.read_text() for path in folder.iterdir() if path.name != ".git"} == {
        "ours": "2\n",
        "theirs": "2\n",
        "new": "1\n",
    }
    assert tree.list_changed_files(main, commit) == ["new", "theirs"]
    assert repository.git("rev-parse", "HEAD", "main") == f"{main}\n{main}"
    assert tree.create_merge_commit(main, head) == commit != base


def test_what_does_not_merge_by_itself_is_said(script: Any, repository: Any) -> None:
    repository(file="1\n")
    repository.git("switch", "-q", "-c", "side")
    head = repository(file="2\n", **{".gitattributes": "* merge=union\n"})
    repository.git("switch", "-q", "main")
    main = repository(file="3\n")
    tree = script("tree")
    with pytest.raises(tree.ConflictError):
        tree.create_merge_commit(main, head)


def test_laid_out_files_are_bytes_and_links_are_text(
    script: Any, repository: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    marker = tmp_path / "owned"
    own = tmp_path / "tmp" / "gitconfig"  # a runner's own settings, such as those of git-lfs
    own.write_text(f'[filter "evil"]\n\tsmudge = touch {marker}; cat\n\tclean = cat\n[core]\n\tautocrlf = true\n')
    os.symlink("/etc/hostname", "link")
    attributes = "file filter=evil text eol=crlf ident working-tree-encoding=UTF-16LE export-ignore\n"
    Path("file").write_bytes(b"a\n$Id$\n")
    repository.git("add", "file", "link")
    repository.git("update-index", "--add", "--cacheinfo", f"160000,{HEAD},module")
    repository.git("commit", "-q", "-m", "files")
    Path(".gitattributes").write_text(attributes)
    repository.git("add", ".gitattributes")
    repository.git("commit", "-q", "-m", "attributes")
    commit = repository.git("rev-parse", "HEAD")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(own))
    folder = script("tree").lay_out(commit)
    assert (folder / "file").read_bytes() == b"a\n$Id$\n"
    assert not (folder / "link").is_symlink()
    assert (folder / "link").read_text() == "/etc/hostname"
    assert list((folder / "module").iterdir()) == []
    assert not marker.exists()
