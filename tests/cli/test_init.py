"""`init`: whole, valid, safe repositories, into empty folders only."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from reconciler import __version__
from reconciler.cli.commands.files.init import render_scaffold
from reconciler.cli.exit_code import ExitCode
from reconciler.cli.main import run

ROOT = Path(__file__).resolve().parents[2]
COMMON = {".gitignore", "README.md", "customers/defaults.yaml", "reconciler.yaml"}
SCRIPTS = {
    f".ci/{name}"
    for name in (
        *("apply.py", "drift.py", "forge.py", "owners.py", "plan.py", "program.py", "record.py", "tree.py"),
        *("verdict.py", "requirements.txt"),
    )
}
GITHUB = {
    ".github/CODEOWNERS",
    *(f".github/workflows/{name}.yml" for name in ["validate", "plan", "reviewed", "apply", "drift"]),
}
GITLAB = {".gitlab-ci.yml", ".gitlab/CODEOWNERS", ".ci/codequality.py", ".ci/payload.py"}
FILES = {None: COMMON, "github": COMMON | SCRIPTS | GITHUB, "gitlab": COMMON | SCRIPTS | GITLAB}

OPTIONS = {None: [], "github": ["--ci", "github"], "gitlab": ["--ci", "gitlab"]}
EVERY = pytest.mark.parametrize("ci", [None, "github", "gitlab"])


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def names(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def linted(*command: str | Path) -> None:
    program, *arguments = (str(word) for word in command)
    place = Path(sys.executable).parent / program
    done = subprocess.run([str(place), *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@EVERY
def test_what_it_writes_is_whole_and_validates(ci: str | None, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["init", "made", *OPTIONS[ci]]) == ExitCode.DONE
    captured = capsys.readouterr()
    assert names(Path("made")) == FILES[ci]
    assert set(captured.out.split()) == {f"made/{name}" for name in FILES[ci]}
    assert "reconciler new customer ID" in captured.err
    assert ("One-time setup" in captured.err) == (ci is not None)
    assert run(["validate", "--dir", "made/customers"]) == ExitCode.DONE
    assert capsys.readouterr().out == "2 files are valid.\n"
    assert run(["fmt", "--check", "--dir", "made/customers"]) == ExitCode.DONE


def test_the_first_customer_goes_into_it_and_plans(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    run(["init", "made"])
    monkeypatch.chdir(tmp_path / "made")
    run(["new", "customer", "springfield"])
    file = Path("customers/springfield/customer.yaml")
    agreed = "agreements: {privacy_policy: 2026-08-01, terms_of_service: 2026-08-01}\n"
    file.write_text(file.read_text() + agreed)
    assert run(["plan", "--detailed-exitcode"]) == ExitCode.CHANGES
    assert not Path(".reconciler").exists(), "a plan makes no store"


def test_what_the_comments_of_defaults_propose_is_valid_too() -> None:
    run(["init", "made"])
    file = Path("made/customers/defaults.yaml")
    proposed = re.sub(r"(?m)^# ((rostering:|  ).*)$", r"\1", file.read_text())
    file.write_text(proposed)
    settings = Path("made/reconciler.yaml")
    settings.write_text(re.sub(r"(?m)^# ((policy:|  ).*)$", r"\1", settings.read_text()))
    assert "\n  limits:" in proposed
    assert "\npolicy:" in settings.read_text()
    assert run(["validate", "--dir", "made/customers"]) == ExitCode.DONE


@EVERY
def test_git_may_be_there_already(ci: str | None) -> None:
    subprocess.run(["git", "init", "-q", "made"], check=True)
    assert run(["init", "made", *OPTIONS[ci]]) == ExitCode.DONE
    assert names(Path("made")) - {name for name in names(Path("made")) if name.startswith(".git/")} == FILES[ci]


def test_the_folder_one_is_in_will_do(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["init", "."]) == ExitCode.DONE
    captured = capsys.readouterr()
    assert set(captured.out.split()) == COMMON
    assert "cd " not in captured.err


@EVERY
def test_nonempty_folder_is_left_alone(ci: str | None, capsys: pytest.CaptureFixture[str]) -> None:
    Path("made").mkdir()
    Path("made/.hidden").write_text("mine")
    Path("made/README.md").write_text("mine")
    assert run(["init", "made", *OPTIONS[ci]]) == ExitCode.ERROR
    assert "made is not empty: .hidden and 1 more; nothing was written" in capsys.readouterr().err
    assert names(Path("made")) == {".hidden", "README.md"}
    assert Path("made/README.md").read_text() == "mine"


def test_twice_is_once() -> None:
    assert run(["init", "made"]) == ExitCode.DONE
    assert run(["init", "made", "--ci", "github"]) == ExitCode.ERROR
    assert names(Path("made")) == COMMON


@pytest.mark.parametrize("arguments", [[], ["made", "--ci", "jenkins"], ["made", "more"]])
def test_what_it_does_not_know_is_wrong_use(arguments: list[str]) -> None:
    assert run(["init", *arguments]) == ExitCode.WRONG_USE
    assert not Path("made").exists()


def test_file_in_place_of_the_folder_is_a_usage_error() -> None:
    Path("made").write_text("mine")
    assert run(["init", "made"]) == ExitCode.WRONG_USE
    assert Path("made").read_text() == "mine"


@EVERY
def test_nothing_is_left_to_be_filled_in_by_jinja(ci: str | None) -> None:
    for name, text in render_scaffold(ci):
        assert "{%" not in text, name
        assert "\n\n\n" not in text or name.suffix == ".py", name
        assert text.endswith("\n"), name
        assert not text.endswith("\n\n"), name
    assert f"roster-reconciler=={__version__}" in {str(name): text for name, text in render_scaffold(ci)}["README.md"]


@pytest.mark.parametrize("ci", ["github", "gitlab"])
def test_the_jobs_install_the_version_that_made_them(ci: str) -> None:
    files = {str(name): text for name, text in render_scaffold(ci)}
    assert files[".ci/requirements.txt"] == f"roster-reconciler=={__version__}\n"


@pytest.mark.parametrize("ci", ["github", "gitlab"])
def test_every_setting_is_in_the_readme_or_the_job(ci: str) -> None:
    files = {str(name): text for name, text in render_scaffold(ci)}
    scripts = "".join(text for name, text in files.items() if name.startswith(".ci/"))
    rest = "".join(text for name, text in files.items() if name.endswith((".yml", "README.md")))
    read = set(re.findall(r'"(RECONCILER_[A-Z]+|GITLAB_API_TOKEN|TEAMS_TOKEN)"', scripts))
    assert read >= {"RECONCILER_STORE", "RECONCILER_KEY", "RECONCILER_PROJECT"}
    optional = {"RECONCILER_BOT", "RECONCILER_BRANCH"}
    foreign = {"GITLAB_API_TOKEN", "TEAMS_TOKEN", "RECONCILER_SECRETS"}
    assert [each for each in sorted(read - optional - foreign) if each not in rest] == []


# --- GitHub


@pytest.fixture
def workflows() -> dict[str, Any]:
    run(["init", "made", "--ci", "github"])
    return {path.stem: parsed(path) for path in Path("made/.github/workflows").glob("*.yml")}


def parsed(path: Path) -> Any:
    return YAML(typ="safe", pure=True).load(path.read_text())


def steps(workflow: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for job in workflow["jobs"].values():
        yield from job["steps"]


def test_workflows_pass_their_linters_and_schema(workflows: dict[str, Any]) -> None:
    files = sorted(Path("made/.github/workflows").iterdir())
    shellcheck = Path(sys.executable).parent / "shellcheck"
    assert shellcheck.exists()
    linted("actionlint", "-shellcheck", shellcheck, *files)
    linted("zizmor", "--offline", "--no-progress", "--persona", "regular", *files)
    linted("check-jsonschema", "--builtin-schema", "vendor.github-workflows", *files)


def test_actionlint_would_say_what_is_wrong(workflows: dict[str, Any]) -> None:
    file = Path("made/.github/workflows/validate.yml")
    file.write_text(file.read_text().replace("runs-on:", "runs_on:"))
    with pytest.raises(AssertionError, match="runs_on"):
        linted("actionlint", file)


def test_pull_request_code_has_no_secrets_or_write_access(workflows: dict[str, Any]) -> None:
    untrusted = {name for name, each in workflows.items() if {"pull_request", "pull_request_review"} & set(each["on"])}
    assert untrusted == {"validate", "reviewed"}
    for name in untrusted:
        text = Path(f"made/.github/workflows/{name}.yml").read_text()
        assert "secrets." not in text
        assert "github.token" not in text
        assert "write" not in text.replace("may write nothing", "")
        assert all("environment" not in job for job in workflows[name]["jobs"].values())


def test_trusted_jobs_check_out_only_the_default_branch(workflows: dict[str, Any]) -> None:
    for name in ("plan", "drift", "apply"):
        checkouts = [step for step in steps(workflows[name]) if "checkout" in step.get("uses", "")]
        assert len(checkouts) == 1
        ref = checkouts[0]["with"].get("ref", "")
        assert ref == ("" if name == "apply" else "${{ github.event.repository.default_branch }}")
    assert set(workflows["apply"]["on"]) == {"push", "workflow_dispatch"}
    assert workflows["apply"]["on"]["push"] == {"branches": ["main"]}


def test_what_others_wrote_never_stands_in_a_command(workflows: dict[str, Any]) -> None:
    for workflow in workflows.values():
        for step in steps(workflow):
            assert "${{" not in step.get("run", "")


def test_every_action_is_githubs_own_and_pinned_by_commit(workflows: dict[str, Any]) -> None:
    for workflow in workflows.values():
        for step in steps(workflow):
            if "uses" in step:
                assert re.fullmatch(r"actions/[a-z-]+@[0-9a-f]{40}", step["uses"])
                assert "checkout" not in step["uses"] or step["with"]["persist-credentials"] is False
    text = "".join(path.read_text() for path in Path("made/.github/workflows").iterdir())
    assert len(re.findall(r"uses: \S+ # v\d+\.\d+\.\d+\n", text)) == text.count(" uses: ")


def test_secrets_are_the_environments_and_applies_wait_in_line(workflows: dict[str, Any]) -> None:
    environments = {name: {job.get("environment") for job in each["jobs"].values()} for name, each in workflows.items()}
    assert environments == {
        "validate": {None},
        "reviewed": {None},
        "plan": {"plan"},
        "drift": {"plan"},
        "apply": {"production"},
    }
    for workflow in workflows.values():
        assert workflow["permissions"] in ({}, {"contents": "read"})
    assert workflows["apply"]["concurrency"] == {"group": "apply", "cancel-in-progress": False, "queue": "max"}


def test_a_pull_request_has_one_plan_job_at_a_time(workflows: dict[str, Any]) -> None:
    group = workflows["plan"]["concurrency"]["group"]
    assert "sha" not in group
    for event in ("pull_request.head.repo", "workflow_run.head_repository"):
        assert f"github.event.{event}.full_name" in group
    for branch in ("pull_request.head.ref", "workflow_run.head_branch"):
        assert f"github.event.{branch}" in group


# --- GitLab


@pytest.fixture
def pipeline() -> dict[str, Any]:
    run(["init", "made", "--ci", "gitlab"])
    jobs: dict[str, Any] = parsed(Path("made/.gitlab-ci.yml"))
    return jobs


def test_pipeline_fits_its_schema_and_passes_shellcheck(pipeline: dict[str, Any]) -> None:
    linted("check-jsonschema", "--builtin-schema", "vendor.gitlab-ci", "made/.gitlab-ci.yml")
    for name, job in pipeline.items():
        if isinstance(job, dict) and "script" in job:
            script = Path(f"{name}.sh")
            script.write_text("\n".join(["#!/bin/bash", *job["script"], ""]))
            linted("shellcheck", "--exclude", "SC2154", script)


def test_only_pipelines_of_the_default_branch_are_given_secrets(pipeline: dict[str, Any]) -> None:
    rules = [rule["if"] for rule in pipeline["workflow"]["rules"]]
    assert all("$CI_COMMIT_BRANCH == $CI_DEFAULT_BRANCH" in rule for rule in rules if "merge_request" not in rule)
    of_merge_requests = [
        name
        for name, job in pipeline.items()
        if isinstance(job, dict) and any("merge_request" in rule["if"] for rule in job.get("rules", ()))
    ]
    assert of_merge_requests == ["workflow", "validate"]
    assert "environment" not in pipeline["validate"]
    assert pipeline["plan"]["environment"]["name"] == pipeline["drift"]["environment"]["name"] == "plan"
    for name in ("apply", "apply-by-hand"):
        assert pipeline[name]["environment"]["name"] == "production"
        assert (pipeline[name]["resource_group"], pipeline[name]["interruptible"]) == ("apply", False)
    assert pipeline["plan"]["resource_group"] == "plan"


def test_the_widget_is_given_every_diagnostic_at_its_line(pipeline: dict[str, Any]) -> None:
    Path("made/customers/springfield").mkdir()
    Path("made/customers/springfield/customer.yaml").write_text("kind: customer\nid: springfield\nnmae: x\n")
    done = subprocess.run(
        [sys.executable, "-m", "reconciler", "validate", "--format", "json"],
        cwd="made",
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    diagnostics = json.loads(done.stdout)["diagnostics"]
    Path("diagnostics.json").write_text(done.stdout)
    report = subprocess.run(
        [sys.executable, "made/.ci/codequality.py", "diagnostics.json"], capture_output=True, text=True, check=True
    )
    findings = json.loads(report.stdout)
    assert len(findings) == len(diagnostics) > 1
    misspelt = next(each for each in findings if each["check_name"] == "unknown-key")
    assert misspelt["location"] == {"path": "customers/springfield/customer.yaml", "lines": {"begin": 3}}
    assert misspelt["severity"] == "critical"
    assert len({each["fingerprint"] for each in findings}) == len(findings)


@pytest.mark.parametrize(
    ("payload", "number"),
    [
        ({"object_kind": "merge_request", "object_attributes": {"action": "update", "iid": 7}}, "7\n"),
        ({"object_kind": "merge_request", "object_attributes": {"action": "approved", "iid": 7}}, "7\n"),
        ({"object_kind": "merge_request", "object_attributes": {"action": "merge", "iid": 7}}, ""),
        ({"object_kind": "push", "ref": "refs/heads/main"}, ""),
    ],
)
def test_a_webhook_gives_a_number_and_nothing_else(pipeline: dict[str, Any], payload: object, number: str) -> None:
    Path("payload").write_text(json.dumps(payload))
    done = subprocess.run(
        [sys.executable, "made/.ci/payload.py", "payload"], capture_output=True, text=True, check=True
    )
    assert done.stdout == number


def test_a_webhook_with_no_number_is_an_error(pipeline: dict[str, Any]) -> None:
    payload = {"object_kind": "merge_request", "object_attributes": {"action": "open", "iid": "7; rm -rf /"}}
    Path("payload").write_text(json.dumps(payload))
    done = subprocess.run([sys.executable, "made/.ci/payload.py", "payload"], capture_output=True, check=False)
    assert done.returncode != 0
    assert done.stdout == b""


# --- both


def test_the_wheel_brings_every_file_of_it(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    wheel = next(tmp_path.glob("*.whl"))
    folder = ROOT / "reconciler/cli/templates"
    wanted = {f"reconciler/cli/templates/{name}" for name in names(folder) if "__pycache__" not in name}
    assert len(wanted) > 20
    assert wanted <= set(zipfile.ZipFile(wheel).namelist())
