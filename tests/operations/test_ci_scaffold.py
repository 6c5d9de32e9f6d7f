"""The scaffolded CI from branch to store, job by job, as the workflows of both systems run it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.ci.cli_over_socket import listening
from tests.support.ci.simulation import Play

pytestmark = pytest.mark.slow

#: What does not depend on the forge is played on one of them.
ON_ONE = pytest.mark.parametrize("begun", ["github"], indirect=True)
MARKER = "<!-- reconciler -->"


@pytest.fixture(scope="module")
def near() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="near-") as folder, listening(Path(folder) / "socket") as place:
        yield place


@pytest.fixture(scope="module", params=["github", "gitlab"])
def begun(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, near: Path) -> Play:
    return Play(request.param, tmp_path_factory.mktemp(f"ci-{request.param}"), near)


@pytest.fixture
def play(begun: Play, tmp_path: Path) -> Play:
    """As it began, every time: the play's own folder is put back."""
    saved = begun.folder.with_suffix(".saved")
    if not saved.exists():
        shutil.copytree(begun.folder, saved, symlinks=True)
    shutil.rmtree(begun.folder)
    shutil.copytree(saved, begun.folder, symlinks=True)
    return begun


def runs(play: Play) -> list[dict[str, object]]:
    found: list[dict[str, object]] = json.loads(play.reconciler("history", "--format", "json").stdout)["runs"]
    return found


def plan_id(log: str) -> str:
    found = re.search(r"changed since the review \(now (sha256:[0-9a-f]{64}),", log)
    assert found, log
    return found[1]


def by_hand(play: Play, before: str, after: str) -> None:
    """Communities' names, with another program: two SQLite libraries in one process undo each other's locks."""
    statement = f"UPDATE communities SET document = replace(document, '\"{before}\"', '\"{after}\"')"
    script = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute(sys.argv[2]); c.commit()"
    subprocess.run([sys.executable, "-c", script, str(play.folder / "store.db"), statement], check=True)


def test_a_change_is_validated_planned_merged_and_applied(play: Play) -> None:
    play.far()
    play.branch("rename")
    play.customer("springfield", "Springfield Unified")
    play.commit()
    play.propose(1)
    valid = play.validate()
    assert valid.code == 0, valid.log
    planned = play.plan(1)
    assert planned.code == 0, planned.log
    (comment,) = play.comments(1)
    assert comment.startswith(MARKER)
    assert "Springfield Unified" in comment
    assert play.check(play.head(1)) == ("success", "update 1")
    assert set(planned.out) == {"report.html"}
    assert "Springfield Unified" in planned.out["report.html"]

    play.customer("springfield", "Springfield Joint")
    play.commit()
    play.propose(1)
    assert play.plan(1).code == 0
    (comment,) = play.comments(1)
    assert "Springfield Joint" in comment
    assert "Springfield Unified" not in comment
    assert play.check(play.head(1))[0] == "success"

    before, after = play.merge(1)
    assert not play.live_as(after)
    applied = play.apply(before, after)
    assert applied.code == 0, applied.log
    assert play.live_as(after)
    assert play.check(after, "reconciler/apply") == ("success", "applied")
    assert play.comments(1) == [comment]
    run = runs(play)[0]
    assert str(run["actor"]).startswith("ann (https://")
    assert run["git_commit"] == after


@ON_ONE
@pytest.mark.parametrize("how", ["squash", "rebase"])
def test_however_it_is_merged(play: Play, how: str) -> None:
    play.branch("rename")
    play.customer("springfield", "Springfield Unified")
    play.commit()
    play.community("springfield", "low", "Low")
    play.commit()
    play.propose(1)
    assert play.plan(1).code == 0
    before, after = play.merge(1, how)
    applied = play.apply(before, after)
    assert applied.code == 0, applied.log
    assert play.live_as(after)


@ON_ONE
def test_invalid_files_fail_both_jobs(play: Play) -> None:
    play.branch("broken")
    play.customer("springfield", more="nmae: x ``` @everyone\n")
    play.commit()
    play.propose(1)
    valid = play.validate()
    assert valid.code == 65
    assert "unknown" in valid.log
    planned = play.plan(1)
    assert planned.code == 0, planned.log
    assert play.check(play.head(1))[0] == "failure"
    assert "nmae" in play.comments(1)[0]


def test_hold_waits_for_an_owner_to_approve_this_commit(play: Play) -> None:
    play.branch("close")
    (play.desk / "customers/springfield/communities/high.yaml").unlink()
    play.commit()
    play.propose(1, author="olga")
    assert play.plan(1).code == 0
    assert play.check(play.head(1))[0] == "failure"
    for stranger in ("mallory", "olga"):  # nobody's owner, and the author herself
        play.approve(1, stranger)
    play.customer("springfield", "Springfield Unified")
    play.commit()
    play.propose(1)
    play.approve(1, "otto", late=False)  # of the commit before
    reviewed = play.reviewed(1)
    assert reviewed.code == 0, reviewed.log
    assert play.check(play.head(1))[0] == "failure"
    play.approve(1, "otto")
    with play.forge() as forge:  # the same commit is proposed for another branch too
        decoy = {**forge["proposals"]["1"], "number": 7, "target": "old", "reviews": [], "approvals": []}
        forge["proposals"] = {"7": decoy, **forge["proposals"]}
    assert play.reviewed(1).code == 0
    state, sentence = play.check(play.head(1))
    assert state == "success"
    assert "approved by a code owner" in sentence
    assert len(play.comments(1)) == 1
    before, after = play.merge(1, "squash")
    applied = play.apply(before, after)
    assert applied.code == 0, applied.log
    assert play.live_as(after)
    assert runs(play)[0]["approvals"]


@ON_ONE
def test_a_merge_that_nobody_waited_for_is_not_applied(play: Play) -> None:
    play.branch("close")
    (play.desk / "customers/springfield/communities/high.yaml").unlink()
    play.commit()
    play.propose(1)
    play.plan(1)
    before, after = play.merge(1)
    known = runs(play)
    applied = play.apply(before, after)
    assert applied.code == 4, applied.log
    assert "merged without the approval" in play.check(after, "reconciler/apply")[1]
    assert "Next: review the plan above" in applied.log
    assert runs(play) == known


@ON_ONE
def test_a_weakened_protection_is_red_until_an_owner_agrees(play: Play) -> None:
    play.branch("weaken")
    play.community("springfield", "high", "High", "lti: {auto_provisioning: true}\n")
    play.commit()
    play.propose(1)
    planned = play.plan(1)
    assert planned.code == 0, planned.log
    state, sentence = play.check(play.head(1))
    assert (state, "weakened" in sentence) == ("failure", True), sentence
    play.approve(1, "olga")
    play.reviewed(1)
    assert play.check(play.head(1))[0] == "success"


@ON_ONE
def test_later_of_two_racers_applies_if_its_effects_stand(play: Play) -> None:
    for number, name in ((1, "springfield"), (2, "shelbyville")):
        play.branch(name)
        play.customer(name, f"{name.title()} Unified")
        play.commit()
        play.propose(number)
        assert play.plan(number).code == 0
    for number in (1, 2):
        before, after = play.merge(number)
        applied = play.apply(before, after)
        assert applied.code == 0, applied.log
        assert play.live_as(after)


@ON_ONE
def test_two_merges_in_one_push_are_two_applies(play: Play) -> None:
    pushes = []
    for number, name in ((1, "springfield"), (2, "shelbyville")):
        play.branch(name)
        play.customer(name, f"{name.title()} Unified")
        play.commit()
        play.propose(number)
        play.plan(number)
    for number in (1, 2):
        pushes.append(play.merge(number))
    applied = play.apply(pushes[0][0], pushes[1][1])
    assert applied.code == 0, applied.log
    assert play.live_as(pushes[1][1])
    assert [play.check(after, "reconciler/apply")[1] for _, after in pushes] == ["applied", "applied"]


@ON_ONE
def test_changed_effects_are_shown_and_applied_only_by_hand(play: Play) -> None:
    play.branch("add")
    play.community("springfield", "low", "Low")
    play.commit()
    play.propose(1)
    play.plan(1)
    play.branch("elsewhere")  # somebody applied something of the same thing meanwhile
    play.community("springfield", "low", "Lower")
    assert play.reconciler("apply", "--yes", "--roster", "none").returncode == 0
    play.git("checkout", "-q", ".")
    play.git("clean", "-fdq")
    known = runs(play)
    before, after = play.merge(1)
    applied = play.apply(before, after)
    assert applied.code == 4, applied.log
    assert "Next: review the plan above" in applied.log
    assert play.check(after, "reconciler/apply")[0] == "failure"
    assert runs(play) == known
    by_hand = play.apply_by_hand(after, plan_id(applied.log))
    assert by_hand.code == 0, by_hand.log
    assert play.live_as(after)


@ON_ONE
def test_what_was_pushed_without_a_review_is_not_applied(play: Play) -> None:
    play.branch("sneak")
    play.customer("springfield", '"##[add-mask]held ::stop-commands::x"')
    play.commit()
    before, after = play.git("rev-parse", "origin/main"), play.git("rev-parse", "HEAD")
    play.git("push", "-q", "origin", "HEAD:main")
    applied = play.apply(before, after)
    assert applied.code == 4, applied.log
    assert "nobody reviewed it" in applied.log
    obeyed = re.sub(r"(?ms)^::stop-commands::([0-9a-f]{32})$.*?^::\1::$", "", applied.log)
    assert "add-mask" in applied.log, "it is shown"
    assert "add-mask" not in obeyed, "and means nothing to the runner"
    assert not play.live_as(after)


@ON_ONE
def test_by_hand_only_what_was_merged_is_applied(play: Play) -> None:
    play.branch("sneak")
    play.customer("springfield", "Springfield Unified")
    sneaked = play.commit()
    play.git("push", "-q", "origin", "HEAD:refs/heads/sneak")
    refused = play.apply_by_hand(sneaked, f"sha256:{'0' * 64}")
    assert refused.code == 1, refused.log
    assert f"{sneaked[:12]} is not a merged commit of main" in refused.log
    assert "sha256:" not in refused.log, "it is not even planned"
    play.propose(1)
    play.merge(1)
    inside = play.apply_by_hand(sneaked, f"sha256:{'0' * 64}")
    assert inside.code == 1, "a commit within a merge is not what was reviewed"


@ON_ONE
def test_a_record_that_another_job_wrote_is_not_believed(play: Play) -> None:
    play.branch("close")
    (play.desk / "customers/springfield/communities/high.yaml").unlink()
    play.commit()
    play.propose(1)
    play.plan(1)
    with play.forge() as state:  # as the very same bot
        (record,) = [each for each in state["statuses"] if each["context"] == "reconciler/plan"]
        assert " waiting " in record["description"]
        record["description"] = record["description"].replace(" waiting ", " approved ")
    before, after = play.merge(1)
    applied = play.apply(before, after)
    assert applied.code == 4
    assert "no signed plan" in play.check(after, "reconciler/apply")[1]
    assert not play.live_as(after)


def test_trusted_job_runs_nothing_from_a_proposal(play: Play) -> None:
    play.far()
    play.branch("attack")
    trap = f"import pathlib; pathlib.Path({str(play.marker)!r}).write_text('owned')\n"
    for script in (play.desk / ".ci").glob("*.py"):
        script.write_text(trap)
    for name in ("reconciler.py", "polars.py", "sitecustomize.py", "usercustomize.py", "json.py", "click.py"):
        play.write(name, trap)
        play.write(f"customers/{name}", trap)
    play.write(".ci/requirements.txt", "evil==1\n")
    play.write("requirements.txt", "evil==1\n")
    for name in (".github/workflows/plan.yml", ".gitlab-ci.yml"):
        play.write(name, f"touch {play.marker}\n")
    play.write(".github/CODEOWNERS", "* @mallory\n")
    play.write("CODEOWNERS", "* @mallory\n")
    play.write(".gitattributes", "*.yaml filter=evil merge=evil diff=evil export-ignore eol=crlf\n")
    play.write(".gitconfig", f'[filter "evil"]\n smudge = touch {play.marker}\n')
    play.write(".gitmodules", '[submodule "x"]\n path = x\n url = ext::sh -c touch% ' + f"{play.marker}\n")
    secret = play.folder / "secret.txt"
    secret.write_text("hunter2: the runner's own file\n")
    (play.desk / "customers/stolen").mkdir()
    (play.desk / "customers/stolen/customer.yaml").symlink_to(secret)
    evil = 'format: 1\nenvironments: {production: {store: "sqlite:////tmp/never.db"}}\n'
    play.write("reconciler.yaml", evil)
    play.customer("springfield", "Springfield Unified")
    play.commit("$(touch owned) `touch owned`")
    play.propose(1)
    play.approve(1, "mallory")
    planned = play.plan(1)
    assert planned.code == 0, planned.log
    assert not play.marker.exists()
    assert not Path("/tmp/never.db").exists()
    assert "evil" not in play.installed.read_text()
    shown = planned.log + "".join(play.comments(1)) + "".join(planned.out.values())
    assert "hunter2" not in shown
    assert play.check(play.head(1))[0] == "failure"


@ON_ONE
def test_unset_store_never_falls_back_to_a_proposals(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    play.branch("own-store")
    named = play.folder / "mine.db"
    play.write("reconciler.yaml", f'format: 1\nenvironments: {{production: {{store: "sqlite:///{named}"}}}}\n')
    play.commit()
    play.propose(1)
    monkeypatch.setattr(play, "store", "")
    planned = play.plan(1)
    assert planned.code != 0
    assert "RECONCILER_STORE is not set" in planned.log
    assert not named.exists()


def test_drift_is_one_issue_that_closes_by_itself(play: Play) -> None:
    def open_issues() -> list[str]:
        return [str(each["title"]) for each in play.state["issues"] if each["state"] in ("open", "opened")]

    assert play.drift().code == 0
    assert open_issues() == []
    by_hand(play, "High", "By Hand")
    for _ in range(2):
        found = play.drift()
        assert found.code == 0, found.log
        assert open_issues() == ["The store differs from git"]
    by_hand(play, "By Hand", "High")
    assert play.drift().code == 0
    assert open_issues() == []


@ON_ONE
def test_customer_secrets_exist_only_while_applying(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    play.branch("lti")
    platform = "{id: canvas, consumer_key: springfield-canvas, shared_secret: {secret: canvas}, community: high}"
    play.customer("springfield", more=f"lti:\n  platforms:\n    - {platform}\n")
    play.commit()
    play.propose(1)
    planned = play.plan(1)
    assert planned.code == 0, planned.log
    play.approve(1, "olga")
    play.reviewed(1)
    before, after = play.merge(1)
    without = play.apply(before, after)
    assert without.code == 1
    assert "secret canvas of springfield is not set" in without.log
    monkeypatch.setattr(play, "secrets", json.dumps({"RECONCILER_SECRET__SPRINGFIELD__CANVAS": "hunter2"}))
    applied = play.apply(before, after)
    assert applied.code == 0, applied.log
    assert "hunter2" not in applied.log + planned.log
    assert play.drift().code == 0
    assert play.state["issues"] == []


def test_a_comment_names_its_commit_and_base(play: Play) -> None:
    play.branch("rename")
    play.customer("springfield", "Springfield Unified")
    play.commit()
    play.propose(1)
    assert play.plan(1).code == 0
    base = play.git("rev-parse", "origin/main")
    sentence = f"Plan of commit `{play.head(1)[:12]}`, merged into `main` at `{base[:12]}`."
    assert sentence in play.comments(1)[0]


def test_a_commit_that_is_pushed_during_a_plan_leaves_the_writing_to_its_own_job(play: Play) -> None:
    play.branch("rename")
    play.customer("springfield", "Springfield Unified")
    first = play.commit()
    play.propose(1)
    play.customer("springfield", "Springfield Joint")
    second = play.commit()
    play.git("push", "-q", "origin", "HEAD:refs/heads/later")
    ref = play.state["proposals"]["1"]["ref"]
    play.meanwhile(f"git -C {play.bare} update-ref {ref} {second}")
    planned = play.plan(1)
    assert planned.code == 0, planned.log
    assert "changed while it was planned" in planned.log
    assert play.comments(1) == []
    assert play.check(first) == ("pending", "planning this commit")
    play.meanwhile()
    play.propose(1)
    assert play.plan(1).code == 0
    assert "Springfield Joint" in play.comments(1)[0]
    assert play.check(second)[0] == "success"


def test_a_merge_during_a_plan_is_planned_with(play: Play) -> None:
    play.branch("other")
    play.customer("springfield", "Springfield Joint")
    other = play.commit()
    play.git("push", "-q", "origin", "HEAD:refs/heads/other")
    play.branch("rename")
    play.customer("shelbyville", "Shelbyville Unified")
    play.commit()
    play.propose(1)
    play.meanwhile(f"git -C {play.bare} update-ref refs/heads/main {other}")
    planned = play.plan(1)
    assert planned.code == 0, planned.log
    assert f"merged into `main` at `{other[:12]}`" in play.comments(1)[0]
    assert play.check(play.head(1)) == ("success", "update 1")


def test_a_branch_that_never_rests_ends_in_an_error_and_no_comment(play: Play) -> None:
    play.branch("rename")
    play.customer("shelbyville", "Shelbyville Unified")
    play.commit()
    play.propose(1)
    play.meanwhile(
        f"cd {play.bare}",
        "export GIT_AUTHOR_NAME=B GIT_AUTHOR_EMAIL=b@x.example GIT_COMMITTER_NAME=B GIT_COMMITTER_EMAIL=b@x.example",
        "git update-ref refs/heads/main $(git commit-tree -p main -m more main^{tree})",
    )
    planned = play.plan(1)
    assert planned.code == 0, planned.log
    state, sentence = play.check(play.head(1))
    assert state in ("error", "failure")
    assert "changed during each of 3 plans" in sentence
    assert play.comments(1) == []


def test_a_job_that_was_stopped_leaves_a_check_that_lets_nothing_through(play: Play) -> None:
    play.branch("rename")
    play.customer("springfield", "Springfield Unified")
    play.commit()
    play.propose(1)
    assert play.plan(1).code == 0
    assert play.check(play.head(1))[0] == "success"
    play.meanwhile("kill -9 $(cut -d' ' -f4 /proc/$PPID/stat)")  # the job, whose process starts every plan
    assert play.plan(1).code != 0
    assert play.check(play.head(1)) == ("pending", "planning this commit")
    assert play.plan(1).code != 0  # GitLab refuses a second pending status
    play.meanwhile()
    assert play.plan(1).code == 0
    assert play.check(play.head(1))[0] == "success"
