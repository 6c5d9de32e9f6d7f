"""Imitates GitHub and GitLab for scripts that call `gh` or `curl`."""

# It keeps state in a file, and refuses what it does not know. Run as `fake_forge.py gh ARGUMENTS` or `fake_forge.py
# curl ARGUMENTS`; FORGE_STATE names the file.

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

State = dict[str, Any]
TOKEN = "job-token"
BOTS = {"github": "github-actions[bot]", "gitlab": "reconciler-bot"}


class RefusalError(Exception):
    """code: of HTTP."""

    def __init__(self, code: int, why: str) -> None:
        super().__init__(why)
        self.code = code


def main() -> None:
    place = Path(os.environ["FORGE_STATE"])
    state: State = json.loads(place.read_text())
    program, *arguments = sys.argv[1:]
    try:
        answer = {"gh": _gh, "curl": _curl}[program](state, arguments)
    except RefusalError as refusal:
        if program == "gh":
            sys.exit(f"gh: {refusal} (HTTP {refusal.code})")
        answer = f'{{"message": "{refusal}"}}\n{refusal.code}'
    place.write_text(json.dumps(state))
    sys.stdout.write(answer)


def _gh(state: State, arguments: list[str]) -> str:
    """`gh api --method METHOD PATH [--input -] [--paginate --slurp]`, or `gh api PATH`."""
    if arguments[:1] != ["api"]:
        raise RefusalError(400, f"no such call: {arguments}")
    method, rest = "GET", arguments[1:]
    if rest[0] == "--method":
        method, rest = rest[1], rest[2:]
    path, *options = rest
    if options not in ([], ["--input", "-"], ["--paginate", "--slurp"]):
        raise RefusalError(400, f"options {options}")
    membership = re.fullmatch(r"/orgs/([^/]+)/teams/([^/]+)/memberships/([^/]+)", path)
    if membership:
        if os.environ["GH_TOKEN"] != "teams-token":
            raise RefusalError(403, "Resource not accessible by integration")
        organization, team, person = membership.groups()
        if person not in state["groups"].get(f"{organization}/{team}", ()):
            raise RefusalError(404, "Not Found")
        return json.dumps({"state": "active"})
    if os.environ.get("GH_TOKEN") != TOKEN:
        raise RefusalError(401, "Bad credentials")
    prefix = f"repos/{state['project']}/"
    if not path.startswith(prefix):
        raise RefusalError(404, path)
    body = json.loads(sys.stdin.read()) if "--input" in options else None
    answer = _github(state, method, path.removeprefix(prefix), body)
    if ("--paginate" in options) != isinstance(answer, list):
        raise RefusalError(422, f"{path} is {'' if isinstance(answer, list) else 'not '}a list")
    if isinstance(answer, list):
        # small pages, so that whoever reads only the first is found out
        return json.dumps([answer[at : at + 2] for at in range(0, len(answer), 2)] or [[]])
    return json.dumps(answer)


def _curl(state: State, arguments: list[str]) -> str:
    """`curl --silent --show-error --write-out … --config -`, all that matters by standard input."""
    if arguments != ["--silent", "--show-error", "--write-out", "\\n%{http_code}", "--config", "-"]:
        raise RefusalError(400, f"no such call: {arguments}")
    given: dict[str, list[str]] = {}
    for line in sys.stdin.read().splitlines():
        name, value = re.fullmatch(r'([a-z-]+) = "(.*)"', line).groups()  # type: ignore[union-attr]
        given.setdefault(name, []).append(value)
    if f"PRIVATE-TOKEN: {TOKEN}" not in given["header"]:
        raise RefusalError(401, "401 Unauthorized")
    body = None
    if "data-binary" in given:
        if "Content-Type: application/json" not in given["header"]:
            raise RefusalError(415, "no content type")
        body = json.loads(Path(given["data-binary"][0].removeprefix("@")).read_text())
    address = urlsplit(given["url"][0])
    path = address.path.removeprefix("/api/v4/")
    answer = _gitlab(state, given["request"][0], path, parse_qs(address.query), body)
    if isinstance(answer, list):
        size, page = 100, int(parse_qs(address.query).get("page", ["1"])[0])
        answer = answer[size * (page - 1) : size * page]
    return f"{json.dumps(answer)}\n{201 if given['request'][0] == 'POST' else 200}"


Route = tuple[str, str, Callable[..., Any]]


def _routed(routes: list[Route], method: str, path: str, *facts: Any) -> Any:
    for verb, pattern, answer in routes:
        found = re.fullmatch(pattern, path)
        if found and verb == method:
            return answer(*facts, *found.groups())
    raise RefusalError(404, f"{method} {path} is not known here")


def _head(state: State, proposal: State) -> str:
    if "head" in proposal:
        return str(proposal["head"])
    return _git(state, "rev-parse", proposal["ref"])


def _git(state: State, *arguments: str) -> str:
    command = ["git", "-C", state["bare"], *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def _known(state: State, commit: str) -> None:
    if not re.fullmatch(r"[0-9a-f]{40}", commit):
        raise RefusalError(422, f"No commit found for SHA: {commit}")
    _git(state, "cat-file", "-e", commit)


def _of_commit(state: State, commit: str) -> list[State]:
    _known(state, commit)
    return [each for each in state["proposals"].values() if commit in each.get("commits", ())]


def _new(state: State, kind: str, /, **facts: Any) -> State:
    state["ids"] += 1
    made = {"id": state["ids"], **facts}
    state[kind].append(made)
    return made


def _said(text: str, longest: int) -> str:
    if len(text) > longest:
        raise RefusalError(422, f"longer than {longest} characters")
    return text


# --- GitHub


def _github(state: State, method: str, path: str, body: State | None) -> Any:
    routes: list[Route] = [
        ("GET", r"pulls/(\d+)", lambda number: _pull(state, state["proposals"][number])),
        ("GET", r"pulls\?state=open&per_page=100", lambda: _open_pulls(state)),
        ("GET", r"commits/(\w+)/pulls\?per_page=100", lambda sha: [_pull(state, it) for it in _of_commit(state, sha)]),
        ("GET", r"pulls/(\d+)/reviews\?per_page=100", lambda number: state["proposals"][number]["reviews"]),
        ("GET", r"issues/(\d+)/comments\?per_page=100", lambda number: _of(state["comments"], "number", number)),
        ("POST", r"issues/(\d+)/comments", lambda number: _comment(state, number, body or {})),
        ("PATCH", r"issues/comments/(\d+)", lambda name: _edited(state, name, body or {})),
        ("GET", r"commits/(\w+)/statuses\?per_page=100", lambda sha: _of(state["statuses"], "sha", sha)[::-1]),
        ("POST", r"statuses/(\w+)", lambda sha: _github_status(state, sha, body or {})),
        ("GET", r"issues\?state=open&labels=([\w-]+)&per_page=100", lambda label: _issues(state, label)),
        ("POST", r"issues", lambda: _issue(state, body or {})),
        ("PATCH", r"issues/(\d+)", lambda number: _issue_edited(state, number, body or {})),
    ]
    return _routed(routes, method, path)


def _pull(state: State, proposal: State) -> State:
    return {
        "number": proposal["number"],
        "state": "open" if proposal["state"] == "opened" else "closed",
        "merged_at": "2026-11-23T00:00:00Z" if proposal["state"] == "merged" else None,
        "merge_commit_sha": proposal.get("merge_commit"),
        "head": {"sha": _head(state, proposal)},
        "base": {"ref": proposal["target"]},
        "user": {"login": proposal["author"]},
    }


def _open_pulls(state: State) -> list[State]:
    return [_pull(state, each) for each in state["proposals"].values() if each["state"] == "opened"]


def _of(things: list[State], key: str, value: str) -> list[State]:
    return [each for each in things if str(each[key]) == value]


def _comment(state: State, number: str, body: State) -> State:
    text = _said(body["body"], 65_536)
    return _new(state, "comments", number=number, body=text, user={"login": BOTS["github"]})


def _edited(state: State, name: str, body: State) -> State:
    comment = _of(state["comments"], "id", name)[0]
    comment["body"] = _said(body["body"], 65_536)
    return comment


def _github_status(state: State, sha: str, body: State) -> State:
    _known(state, sha)
    if set(body) != {"context", "state", "description", "target_url"} or body["state"] not in (
        *("success", "failure", "error", "pending"),
    ):
        raise RefusalError(422, "Validation Failed")
    _said(body["description"], 140)
    return _new(state, "statuses", sha=sha, creator={"login": BOTS["github"]}, **body)


def _issues(state: State, label: str) -> list[State]:
    return [each for each in state["issues"] if each["state"] == "open" and label in each["labels"]]


def _issue(state: State, body: State) -> State:
    made = _new(state, "issues", state="open", user={"login": BOTS["github"]}, **body)
    made["number"] = made["id"]
    return made


def _issue_edited(state: State, number: str, body: State) -> State:
    issue = _of(state["issues"], "number", number)[0]
    issue.update(body)
    return issue


# --- GitLab


def _gitlab(state: State, method: str, path: str, query: dict[str, list[str]], body: State | None) -> Any:
    given = body or {}
    project = re.escape(f"projects/{state['project']}/")
    one = rf"{project}merge_requests/(\d+)"
    commits = rf"{project}repository/commits/(\w+)"
    routes: list[Route] = [
        ("GET", r"user", lambda: {"username": BOTS["gitlab"]}),
        ("GET", one, lambda number: _merge_request(state, state["proposals"][number])),
        ("GET", rf"{project}merge_requests", lambda: _open_merge_requests(state, query)),
        ("GET", rf"{commits}/merge_requests", lambda sha: [_merge_request(state, it) for it in _of_commit(state, sha)]),
        ("GET", rf"{one}/versions", lambda number: state["proposals"][number]["versions"]),
        ("GET", rf"{one}/approvals", lambda number: {"approved_by": state["proposals"][number]["approvals"]}),
        ("GET", rf"{one}/notes", lambda number: _of(state["comments"], "number", number)),
        ("POST", rf"{one}/notes", lambda number: _note(state, number, given)),
        ("PUT", rf"{one}/notes/(\d+)", lambda number, name: _note_edited(state, name, given)),
        ("GET", rf"{commits}/statuses", lambda sha: _named_statuses(state, sha, query)),
        ("POST", rf"{project}statuses/(\w+)", lambda sha: _gitlab_status(state, sha, given)),
        ("GET", r"groups/([^/]+)/members/all", lambda name: _members(state, name)),
        ("GET", rf"{project}issues", lambda: _gitlab_issues(state, query)),
        ("POST", rf"{project}issues", lambda: _gitlab_issue(state, given)),
        ("PUT", rf"{project}issues/(\d+)", lambda number: _gitlab_issue_edited(state, number, given)),
    ]
    return _routed(routes, method, path)


def _merge_request(state: State, proposal: State) -> State:
    head = _head(state, proposal)
    merged = proposal["state"] == "merged"
    return {
        "iid": proposal["number"],
        "state": proposal["state"],
        "sha": head,
        "target_branch": proposal["target"],
        "author": {"username": proposal["author"]},
        "merge_commit_sha": proposal.get("merge_commit") if merged else None,
        "squash_commit_sha": None,
        "head_pipeline": {"id": 900 + proposal["number"], "sha": head, "project_id": int(state["project"])},
    }


def _open_merge_requests(state: State, query: dict[str, list[str]]) -> list[State]:
    if query.get("state") != ["opened"]:
        raise RefusalError(400, "state")
    return [_merge_request(state, each) for each in state["proposals"].values() if each["state"] == "opened"]


def _note(state: State, number: str, body: State) -> State:
    text = _said(body["body"], 1_000_000)
    return _new(state, "comments", number=number, body=text, author={"username": BOTS["gitlab"]})


def _note_edited(state: State, name: str, body: State) -> State:
    note = _of(state["comments"], "id", name)[0]
    note["body"] = body["body"]
    return note


def _named_statuses(state: State, sha: str, query: dict[str, list[str]]) -> list[State]:
    if query.get("all") != ["true"]:
        raise RefusalError(400, "only the newest would come")
    return [each for each in _of(state["statuses"], "sha", sha) if each["name"] == query["name"][0]]


def _gitlab_status(state: State, sha: str, body: State) -> State:
    _known(state, sha)
    if body["state"] not in ("success", "failed", "pending") or ("ref" in body) == ("pipeline_id" in body):
        raise RefusalError(400, "state or ref")
    _said(body["description"], 255)
    newest = _of(_of(state["statuses"], "sha", sha), "context", body["name"])[-1:]
    if body["state"] == "pending" and newest and newest[0]["state"] == "pending":
        raise RefusalError(400, "Cannot transition status via :enqueue from :pending")
    return _new(state, "statuses", sha=sha, context=body["name"], author={"username": BOTS["gitlab"]}, **body)


def _members(state: State, name: str) -> list[State]:
    people = state["groups"].get(unquote(name))
    if people is None:
        raise RefusalError(404, "404 Group Not Found")
    return [{"username": each, "state": "active"} for each in people]


def _gitlab_issues(state: State, query: dict[str, list[str]]) -> list[State]:
    label = query["labels"][0]
    return [each for each in state["issues"] if each["state"] == query["state"][0] and label in each["labels"]]


def _gitlab_issue(state: State, body: State) -> State:
    made = _new(state, "issues", state="opened", author={"username": BOTS["gitlab"]}, **body)
    made["iid"] = made["id"]
    return made


def _gitlab_issue_edited(state: State, number: str, body: State) -> State:
    issue = _of(state["issues"], "iid", number)[0]
    if body.get("state_event") == "close":
        issue["state"] = "closed"
    issue.update({key: value for key, value in body.items() if key != "state_event"})
    return issue


if __name__ == "__main__":
    main()
