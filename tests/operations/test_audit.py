"""The actor of a run: read from CI systems, cleaned, and shown by `history`."""

from __future__ import annotations

import getpass
import socket
import subprocess
from pathlib import Path

import pytest

from reconciler.operations.actor import ADDRESS_LENGTH, NAME_LENGTH, find_actor, find_git_commit
from tests.support.customers.project import Project

GITHUB = {
    "GITHUB_ACTOR": "ada",
    "GITHUB_TRIGGERING_ACTOR": "ada",
    "GITHUB_SERVER_URL": "https://github.example",
    "GITHUB_REPOSITORY": "reader/customers",
    "GITHUB_RUN_ID": "77",
    "GITHUB_SHA": "c" * 40,
}
GITLAB = {
    "GITLAB_USER_LOGIN": "grace",
    "CI_JOB_URL": "https://gitlab.example/reader/-/jobs/5",
    "CI_COMMIT_SHA": "d" * 40,
}


def test_a_github_run_names_its_person_and_its_address() -> None:
    assert find_actor(GITHUB) == "ada (https://github.example/reader/customers/actions/runs/77)"


def test_restarted_run_names_both_attempts() -> None:
    again = {**GITHUB, "GITHUB_TRIGGERING_ACTOR": "grace"}
    assert find_actor(again).startswith("ada, restarted by grace (https://")


def test_a_gitlab_job_names_its_person_and_its_address() -> None:
    assert find_actor(GITLAB) == "grace (https://gitlab.example/reader/-/jobs/5)"


@pytest.mark.parametrize("system", [{}, GITHUB, GITLAB])
def test_an_actor_given_by_hand_wins(system: dict[str, str]) -> None:
    assert find_actor({**system, "RECONCILER_ACTOR": "Mary Lee"}).split(" (")[0] == "Mary Lee"


def test_without_ci_the_actor_is_the_machines_user() -> None:
    assert find_actor({}) == f"{getpass.getuser()}@{socket.gethostname()}"


@pytest.mark.parametrize("variable", ["RECONCILER_ACTOR", "GITHUB_ACTOR", "GITLAB_USER_LOGIN"])
@pytest.mark.parametrize("harm", ["\n", "\x1b[31m", "\x00", "\u202e", "\u2028", "\ufeff", "\udcff"])
def test_line_breaking_and_direction_characters_are_removed(variable: str, harm: str) -> None:
    shown = find_actor({variable: f"ada{harm}run 7 by nobody"})
    assert shown in ("ada run 7 by nobody", "ada [31mrun 7 by nobody")


def test_nothing_but_harm_is_no_name() -> None:
    assert find_actor({"GITHUB_ACTOR": "\n\x00 "}) == find_actor({})


def test_long_name_is_shortened_and_long_url_omitted() -> None:
    shown = find_actor({"RECONCILER_ACTOR": "x" * 100_000, "CI_JOB_URL": "https://ci.example/" + "y" * ADDRESS_LENGTH})
    assert shown == "x" * (NAME_LENGTH - 1) + "…"


@pytest.mark.parametrize("address", ["javascript:alert(1)", "https://ci.example/a b", "https://ci.example/\n", "7"])
def test_what_is_no_address_is_left_out(address: str) -> None:
    assert find_actor({"GITLAB_USER_LOGIN": "grace", "CI_JOB_URL": address}) == "grace"


def test_commit_comes_from_the_checkout_or_the_ci_system(tmp_path: Path) -> None:
    assert find_git_commit(tmp_path, {}) is None
    assert find_git_commit(tmp_path, GITHUB) == "c" * 40
    assert find_git_commit(tmp_path, GITLAB) == "d" * 40
    assert find_git_commit(tmp_path, {"GITHUB_SHA": "main\nrun 9"}) is None
    git = ["git", "-C", str(tmp_path), "-c", "user.name=Ada", "-c", "user.email=ada@reader.example"]
    subprocess.run([*git, "init", "-q"], check=True)
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "first"], check=True)
    head = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()
    assert find_git_commit(tmp_path, GITHUB) == head != "c" * 40


def test_history_shows_who_applied_and_where(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in GITLAB:
        monkeypatch.delenv(variable, raising=False)
    for variable, value in {**GITHUB, "GITHUB_ACTOR": "ada\x1b[2K\nrun 9"}.items():
        monkeypatch.setenv(variable, value)
    project.customer()
    assert project.apply().code == 0
    address = "https://github.example/reader/customers/actions/runs/77"
    run = project.run("history", "--format", "json").json["runs"][0]
    assert run["actor"] == f"ada [2K run 9, restarted by ada ({address})"
    assert run["git_commit"] == "c" * 40
    text = project.run("history").out
    assert "by ada [2K run 9, restarted by ada" in text
    assert address in text
    assert "commit cccccccccccc" in text
    assert project.run("history", "--verify").code == 0
