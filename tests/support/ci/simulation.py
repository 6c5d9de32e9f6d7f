"""Runs the CI jobs of a customers repository on one machine."""

# A bare git repository, a forge that is a file, and the jobs of the scaffold, step by step as their workflow says.

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from tests.support.customers.project import CUSTOMER

ROOT = Path(__file__).resolve().parents[3]
FORGE = Path(__file__).with_name("fake_forge.py")
KEY = bytes(range(32)).hex()
PROJECTS = {"github": "reader/customers", "gitlab": "42"}
API = "https://gitlab.example/api/v4"

COMMUNITY = """\
kind: community
id: {id}
name: {name}
site_license: {{seats: 100, starts: 2026-08-01, ends: 2027-07-31}}
"""

GIT = {
    "GIT_AUTHOR_NAME": "Ann",
    "GIT_AUTHOR_EMAIL": "ann@reader.example",
    "GIT_COMMITTER_NAME": "Ann",
    "GIT_COMMITTER_EMAIL": "ann@reader.example",
    "GIT_CONFIG_GLOBAL": "/dev/null",
}

#: as the runners of both systems have it: their own tools first
PYTHON = """\
#!/bin/sh
if [ "$1 $2" = "-m pip" ]; then
    while [ "$1" != --requirement ]; do shift; done
    cat "$2" >> "{log}"
else
    exec "{python}" "$@"
fi
"""
RECONCILER = """\
#!/bin/sh
PYTHONPATH="{root}" exec "{python}" -P -m reconciler "$@"
"""
NEAR = """\
#!/bin/sh
if [ "$1" = plan ] && [ -s "{meanwhile}" ]; then
    sh -e "{meanwhile}" >&2
fi
exec "{python}" -I "{near}" "{socket}" "$@"
"""
TOOL = """\
#!/bin/sh
exec "{python}" -I "{forge}" {name} "$@"
"""


@dataclass(frozen=True)
class Done:
    """One job: its exit code and all that it printed; out: the files that it leaves behind for people."""

    code: int
    log: str
    out: Mapping[str, str]


class Play:
    """ci: github or gitlab. The repository's first commit holds two customers, which are live. near: the socket of a
    reconciler that is running already; `far` turns to a process for each call, as jobs have it."""

    def __init__(self, ci: str, folder: Path, near: Path) -> None:
        self.ci = ci
        self.near = near
        self.folder = folder
        self.bare = folder / "bare.git"
        self.desk = folder / "desk"
        self.state_file = folder / "forge.json"
        self.store = f"sqlite:///{folder / 'store.db'}"
        self.secrets = ""
        self.installed = folder / "installed.log"
        self.marker = folder / "owned"
        self._bin = folder / "bin"
        self._tools()
        self._begin()

    # --- people

    def write(self, name: str, text: str) -> None:
        path = self.desk / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def customer(self, name: str, title: str = "", more: str = "") -> None:
        text = CUSTOMER.format(id=name, name=title or f"{name.title()} District", more=more)
        self.write(f"customers/{name}/customer.yaml", text.rstrip("\n") + "\n")

    def community(self, customer: str, name: str, title: str, more: str = "") -> None:
        self.write(f"customers/{customer}/communities/{name}.yaml", COMMUNITY.format(id=name, name=title) + more)

    def branch(self, name: str) -> None:
        """A new one, from the newest main."""
        self.git("fetch", "-q", "origin")
        self.git("switch", "-q", "-c", name, "origin/main")

    def commit(self, message: str = "change") -> str:
        self.git("add", "-A")
        self.git("commit", "-q", "-m", message)
        return self.git("rev-parse", "HEAD")

    def propose(self, number: int, author: str = "mallory") -> None:
        """What the desk has checked out is the proposal's branch; a second time, its next commits."""
        ref = f"refs/pull/{number}/head" if self.ci == "github" else f"refs/merge-requests/{number}/head"
        self.git("push", "-q", "-f", "origin", f"HEAD:{ref}")
        with self.forge() as state:
            made = state["proposals"].setdefault(
                str(number),
                {"number": number, "ref": ref, "author": author, "target": "main", "state": "opened"}
                | {"reviews": [], "approvals": [], "versions": []},
            )
            head = self.git("rev-parse", "HEAD")
            moment = f"2026-11-23T10:{len(made['versions']) * 2:02}:00Z"
            made["versions"].insert(0, {"id": 1 + len(made["versions"]), "head_commit_sha": head, "created_at": moment})

    def approve(self, number: int, person: str, *, late: bool = True) -> None:
        """late: after the newest push; else it is an approval of the version before that."""
        with self.forge() as state:
            made = state["proposals"][str(number)]
            version = made["versions"][0 if late else 1]
            review = {"user": {"login": person}, "state": "APPROVED", "commit_id": version["head_commit_sha"]}
            made["reviews"].append(review)
            moment = version["created_at"].replace(":00Z", ":30Z")
            made["approvals"].append({"user": {"username": person}, "approved_at": moment})

    def meanwhile(self, *lines: str) -> None:
        """What others do as each plan begins; nothing ends it."""
        (self.folder / "meanwhile.sh").write_text("".join(f"{line}\n" for line in lines))

    def merge(self, number: int, how: str = "merge") -> tuple[str, str]:
        """What main was before and is after. how: merge, squash or rebase."""
        head = self.head(number)
        self.git("fetch", "-q", "origin")
        before = self.git("rev-parse", "origin/main")
        self.git("switch", "-q", "--detach", before)
        if how == "merge":
            self.git("merge", "-q", "--no-ff", "-m", f"Merge {number}", head)
        elif how == "squash":
            self.git("merge", "-q", "--squash", head)
            self.git("commit", "-q", "-m", f"Squash {number}")
        else:
            self.git("cherry-pick", f"{before}..{head}")
        after = self.git("rev-parse", "HEAD")
        self.git("push", "-q", "origin", "HEAD:main")
        with self.forge() as state:
            commits = self.git("rev-list", "--first-parent", f"{before}..{after}").split()
            state["proposals"][str(number)] |= {
                "state": "merged",
                "commits": commits,
                "merge_commit": after,
                "head": head,
            }
        return before, after

    def head(self, number: int) -> str:
        return str(self.state["proposals"][str(number)]["versions"][0]["head_commit_sha"])

    def git(self, *arguments: str) -> str:
        command = ["git", "-C", str(self.desk), *arguments]
        done = subprocess.run(command, env={**os.environ, **GIT}, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    # --- the forge

    @property
    def state(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.state_file.read_text())
        return found

    def forge(self) -> _Forge:
        return _Forge(self.state_file)

    def comments(self, number: int) -> list[str]:
        return [each["body"] for each in self.state["comments"] if each["number"] == str(number)]

    def check(self, commit: str, context: str = "reconciler") -> tuple[str, str]:
        """The newest status: success, failure or error; and what it says."""
        found = [each for each in self.state["statuses"] if (each["sha"], each["context"]) == (commit, context)]
        assert found, f"no status {context}"
        return found[-1]["state"].replace("failed", "failure"), found[-1]["description"]

    # --- the jobs

    def validate(self) -> Done:
        """The untrusted job, on what the desk has checked out."""
        if self.ci == "github":
            return self._workflow("validate", {"github.event.pull_request.number": "1"}, self.desk)
        return self._job("validate", {}, self.desk)

    def plan(self, number: int) -> Done:
        if self.ci == "github":
            event = {"github.event_name": "pull_request_target", "github.event.pull_request.number": str(number)}
            return self._workflow("plan", {**event, "github.event.workflow_run.head_sha": ""})
        payload = self.folder / "payload.json"
        attributes = {"action": "update", "iid": number, "title": "$(touch owned)"}
        payload.write_text(json.dumps({"object_kind": "merge_request", "object_attributes": attributes}))
        return self._job("plan", {"TRIGGER_PAYLOAD": str(payload)})

    def reviewed(self, number: int) -> Done:
        """What a review sets off."""
        if self.ci == "github":
            event = {"github.event_name": "workflow_run", "github.event.pull_request.number": ""}
            return self._workflow("plan", {**event, "github.event.workflow_run.head_sha": self.head(number)})
        return self.plan(number)

    def apply(self, before: str, after: str) -> Done:
        if self.ci == "github":
            event = {"github.event_name": "push", "github.event.before": before, "github.event.after": after}
            return self._workflow("apply", {**event, "github.ref_name": "main"})
        return self._job("apply", {"CI_COMMIT_BEFORE_SHA": before, "CI_COMMIT_SHA": after})

    def apply_by_hand(self, commit: str, plan_id: str, hold: str = "") -> Done:
        if self.ci == "github":
            inputs = {"inputs.commit": commit, "inputs.plan_id": plan_id, "inputs.hold": hold}
            return self._workflow(
                "apply", {"github.event_name": "workflow_dispatch", "github.ref_name": "main", **inputs}
            )
        return self._job("apply-by-hand", {"COMMIT": commit, "PLAN_ID": plan_id, "HOLD": hold})

    def drift(self) -> Done:
        return self._workflow("drift", {}) if self.ci == "github" else self._job("drift", {})

    def reconciler(self, *arguments: str, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
        """By hand, with the store that can be written."""
        variables = {**os.environ, "RECONCILER_STORE": self.store, "RECONCILER_KEY": KEY}
        command = [str(self._bin / "reconciler"), *arguments]
        return subprocess.run(
            command, cwd=folder or self.desk, env=variables, check=False, capture_output=True, text=True
        )

    def live_as(self, commit: str) -> bool:
        """Whether the store is as the files of a commit say."""
        with tempfile.TemporaryDirectory() as folder:
            self.git("worktree", "add", "-q", "--detach", f"{folder}/files", commit)
            done = self.reconciler("plan", "--roster", "none", "--detailed-exitcode", folder=Path(folder) / "files")
            self.git("worktree", "remove", "--force", f"{folder}/files")
        assert done.returncode in (0, 2, 3), done.stderr
        return done.returncode == 0

    # --- how they run

    def _workflow(self, name: str, event: Mapping[str, str], checkout: Path | None = None) -> Done:
        with tempfile.TemporaryDirectory() as folder:
            place = checkout or self._checkout(Path(folder))
            workflow = _yaml(place / f".github/workflows/{name}.yml")
            (job,) = workflow["jobs"].values()
            variables = self._variables(untrusted=checkout is not None) | {"GITHUB_STEP_SUMMARY": f"{folder}/summary"}
            facts = {
                **event,
                "github.repository": PROJECTS["github"],
                "github.event.repository.default_branch": "main",
                "github.token": "job-token",
                "secrets.RECONCILER_STORE": self.store,
                "secrets.RECONCILER_KEY": KEY,
                "secrets.RECONCILER_SECRETS": self.secrets,
                "secrets.TEAMS_TOKEN": "teams-token",
            }
            code, log = 0, ""
            for step in job["steps"]:
                if "run" not in step or (code and step.get("if") != "always()") or not _holds(step.get("if"), facts):
                    continue
                own = {key: _filled(str(value), facts) for key, value in step.get("env", {}).items()}
                done = self._shell(step["run"], place, {**variables, **own})
                code, log = code or done.returncode, log + done.stdout
            summary = Path(folder) / "summary"
            return Done(code, log + (summary.read_text() if summary.exists() else ""), _left(place))

    def _job(self, name: str, event: Mapping[str, str], checkout: Path | None = None) -> Done:
        with tempfile.TemporaryDirectory() as folder:
            place = checkout or self._checkout(Path(folder))
            pipeline = _yaml(place / ".gitlab-ci.yml")
            variables = self._variables(untrusted=checkout is not None) | dict(event)
            if checkout is None:
                secrets = {"RECONCILER_STORE": self.store, "RECONCILER_KEY": KEY, "GITLAB_API_TOKEN": "job-token"}
                variables |= secrets | {"RECONCILER_PROJECT": PROJECTS["gitlab"]}
            assert pipeline[name].get("variables", {}) in ({}, {"RECONCILER_PROJECT": "$CI_PROJECT_ID"})
            script = "\n".join([*pipeline["default"]["before_script"], *pipeline[name]["script"]])
            done = self._shell(script, place, variables)
            return Done(done.returncode, done.stdout, _left(place))

    def _shell(self, script: str, place: Path, variables: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
        command = ["bash", "-eo", "pipefail", "-c", script]
        return subprocess.run(
            command, cwd=place, env=variables, check=False, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )

    def _variables(self, *, untrusted: bool) -> dict[str, str]:
        variables = {
            "PATH": f"{self._bin}:{os.environ['PATH']}",
            "HOME": str(self.folder),
            "LANG": "C.UTF-8",
            "TMPDIR": str(self.folder / "tmp"),
            "FORGE_STATE": str(self.state_file) if not untrusted else "/dev/null",
        }
        if self.ci == "github":
            named = {"ACTOR": "ann", "SERVER_URL": "https://github.example", "REPOSITORY": PROJECTS["github"]}
            return variables | {f"GITHUB_{key}": value for key, value in {**named, "RUN_ID": "7"}.items()}
        named = {"PROJECT_ID": PROJECTS["gitlab"], "DEFAULT_BRANCH": "main", "API_V4_URL": API}
        named |= {"JOB_URL": "https://gitlab.example/reader/-/jobs/7"}
        return variables | {f"CI_{key}": value for key, value in named.items()} | {"GITLAB_USER_LOGIN": "ann"}

    def _checkout(self, folder: Path) -> Path:
        """The default branch, as a trusted job has it."""
        subprocess.run(["git", "clone", "-q", str(self.bare), str(folder / "trusted")], check=True)
        return folder / "trusted"

    def _tools(self) -> None:
        self._bin.mkdir()
        (self.folder / "tmp").mkdir()
        for name, text in {"python": PYTHON, "reconciler": NEAR, "gh": TOOL, "curl": TOOL}.items():
            self._tool(name, text)

    def far(self) -> None:
        """From now on every call of the reconciler is a process of its own."""
        self._tool("reconciler", RECONCILER)

    def _tool(self, name: str, text: str) -> None:
        facts = {"python": sys.executable, "root": ROOT, "forge": FORGE, "log": self.installed}
        near = {"near": Path(__file__).with_name("cli_over_socket.py"), "socket": self.near}
        near["meanwhile"] = self.folder / "meanwhile.sh"
        (self._bin / name).write_text(text.format(name=name, **facts, **near))
        (self._bin / name).chmod(0o755)

    def _begin(self) -> None:
        subprocess.run(["git", "init", "-q", "--bare", "-b", "main", str(self.bare)], check=True)
        state = {"project": PROJECTS[self.ci], "bare": str(self.bare), "ids": 100, "proposals": {}}
        lists = {name: [] for name in ("comments", "statuses", "issues")}
        groups = {"your-org/platform-team": ["olga", "otto"], "your-group/platform-team": ["olga", "otto"]}
        self.state_file.write_text(json.dumps({**state, **lists, "groups": groups}))
        subprocess.run(["git", "init", "-q", "-b", "main", str(self.desk)], check=True)
        made = self.reconciler("init", ".", "--ci", self.ci)
        assert made.returncode == 0, made.stderr
        for name in ("springfield", "shelbyville"):
            self.customer(name)
            self.community(name, "high", "High")
        self.git("remote", "add", "origin", str(self.bare))
        self.commit("first")
        self.git("push", "-q", "origin", "HEAD:main")
        applied = self.reconciler("apply", "--yes", "--roster", "none")
        assert applied.returncode == 0, applied.stdout + applied.stderr
        self.git("clean", "-fdxq")  # the invitations


class _Forge:
    """The state, to be changed by hand."""

    def __init__(self, place: Path) -> None:
        self._place = place

    def __enter__(self) -> dict[str, Any]:
        self._state: dict[str, Any] = json.loads(self._place.read_text())
        return self._state

    def __exit__(self, *problem: object) -> None:
        self._place.write_text(json.dumps(self._state))


def _yaml(path: Path) -> Any:
    return YAML(typ="safe", pure=True).load(path.read_text())


def _filled(text: str, facts: Mapping[str, str]) -> str:
    """`${{ … }}` by its value; KeyError for what is not known here."""
    return re.sub(r"\$\{\{ ([\w.]+) \}\}", lambda found: facts[found[1]], text)


def _holds(condition: str | None, facts: Mapping[str, str]) -> bool:
    """Of the few conditions that the scaffold's steps have."""
    if condition in (None, "always()"):
        return True
    for part in str(condition).split(" && "):
        left, right = part.split(" == ")
        if facts[left] != (right.strip("'") if right.startswith("'") else facts[right]):
            return False
    return True


def _left(place: Path) -> dict[str, str]:
    out = place / "out"
    return {path.name: path.read_text() for path in out.iterdir()} if out.is_dir() else {}
