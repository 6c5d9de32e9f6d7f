"""Call GitHub through `gh api`. Only this module does, and it never puts a body on a command line."""

import base64
import json
import os
import secrets
import subprocess
import sys
from dataclasses import dataclass
from typing import Any

REPOSITORY = os.environ.get("GITHUB_REPOSITORY", "")
SERVER = os.environ.get("GITHUB_SERVER_URL", "https://github.com")
BRANCH = os.environ.get("RECONCILER_BRANCH", "main")
#: pull requests, in messages
PROPOSAL_NOUN = "pull request"
#: the user of the job's token; comments and statuses of others are ignored
BOT = os.environ.get("RECONCILER_BOT", "github-actions[bot]")
DRIFT = "reconciler-drift"


@dataclass(frozen=True)
class Proposal:
    """A pull request."""

    number: int
    #: its last commit
    head: str
    #: ref from which the commit can be fetched
    ref: str
    #: branch into which it is to be merged
    target: str
    author: str


def find_open_proposal(number: int) -> Proposal | None:
    """Return the pull request, or None if it is no longer open."""
    found = _call_api("GET", f"pulls/{number}")
    return _parse_proposal(found) if found["state"] == "open" else None


def find_proposal_by_head(head: str) -> Proposal | None:
    """Return the open pull request to the default branch with this head commit, also from a fork."""
    found = (_parse_proposal(each) for each in _fetch_all_pages("pulls?state=open") if each["head"]["sha"] == head)
    return next((each for each in found if each.target == BRANCH), None)


def find_merged_proposal(commit: str) -> Proposal | None:
    """Return the pull request that brought a commit to the branch by merge, squash or rebase."""
    found = [
        each
        for each in _fetch_all_pages(f"commits/{commit}/pulls")
        if each["merged_at"] and each["base"]["ref"] == BRANCH
    ]
    exact = [each for each in found if each["merge_commit_sha"] == commit]
    return _parse_proposal((exact or found)[0]) if found else None


def list_approvers(proposal: Proposal, head: str) -> set[str]:
    """Return the people whose latest review approves exactly this commit."""
    last: dict[str, dict[str, Any]] = {}
    for each in _fetch_all_pages(f"pulls/{proposal.number}/reviews"):
        if each["user"] and each["state"] in ("APPROVED", "CHANGES_REQUESTED", "DISMISSED"):
            last[each["user"]["login"]] = each
    return {who for who, each in last.items() if each["state"] == "APPROVED" and each["commit_id"] == head}


def is_owner(owner: str, person: str) -> bool:
    """Return whether a name of CODEOWNERS means this person. Reading a team needs TEAMS_TOKEN (read:org)."""
    name = owner.removeprefix("@").lower()
    if "/" not in name or not owner.startswith("@"):
        return owner.startswith("@") and name == person.lower()
    token = os.environ.get("TEAMS_TOKEN")
    if not token:
        print(f"{owner}: TEAMS_TOKEN is not set, so nobody counts as a member", file=sys.stderr)
        return False
    organization, team = name.split("/", 1)
    path = f"/orgs/{organization}/teams/{team}/memberships/{person}"
    variables = {**os.environ, "GH_TOKEN": token}
    done = subprocess.run(["gh", "api", path], env=variables, capture_output=True, text=True, check=False)
    return done.returncode == 0 and json.loads(done.stdout)["state"] == "active"


def post_comment(number: int, marker: str, body: str) -> None:
    """Write the comment, or edit it in place."""
    for each in _fetch_all_pages(f"issues/{number}/comments"):
        if each["user"]["login"] == BOT and each["body"].startswith(marker):
            _call_api("PATCH", f"issues/comments/{each['id']}", {"body": body})
            return
    _call_api("POST", f"issues/{number}/comments", {"body": body})


def set_status(proposal: Proposal | None, commit: str, context: str, state: str, description: str) -> None:
    """Set a status of a commit. state: pending, success, failure or error. GitHub accepts 140 characters."""
    status = {"context": context, "state": state, "description": description[:140], "target_url": get_job_url()}
    _call_api("POST", f"statuses/{commit}", status)


def read_status(commit: str, context: str) -> str | None:
    """Return the text of the bot's newest status of this context, or None."""
    for each in _fetch_all_pages(f"commits/{commit}/statuses"):
        if each["context"] == context and each["creator"]["login"] == BOT:
            return str(each["description"])
    return None


def update_issue(marker: str, title: str, body: str | None) -> None:
    """Open the issue or edit it; a body of None closes it."""
    known = [
        each
        for each in _fetch_all_pages(f"issues?state=open&labels={DRIFT}")
        if each["user"]["login"] == BOT and (each["body"] or "").startswith(marker)
    ]
    if known and body is None:
        _call_api("PATCH", f"issues/{known[0]['number']}", {"state": "closed"})
    elif known:
        _call_api("PATCH", f"issues/{known[0]['number']}", {"body": body})
    elif body is not None:
        _call_api("POST", "issues", {"title": title, "body": body, "labels": [DRIFT]})


def build_git_credentials() -> dict[str, str]:
    """Return variables that let `git fetch` sign in, since the checkout keeps no token."""
    pair = base64.b64encode(f"x-access-token:{os.environ.get('GH_TOKEN', '')}".encode()).decode()
    return {
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"http.{SERVER}/.extraheader",
        "GIT_CONFIG_VALUE_0": f"AUTHORIZATION: basic {pair}",
    }


def get_job_url() -> str:
    """Return the page of this job, which has the full report."""
    return f"{SERVER}/{REPOSITORY}/actions/runs/{os.environ.get('GITHUB_RUN_ID', '')}"


def write_job_log(text: str) -> None:
    """Write to the job's log without commands. The runner obeys those it finds there (`::add-mask::`, `##[…]`), and the
    text has names and values that the author of a pull request wrote."""
    if text.strip():
        end = secrets.token_hex(16)
        print(f"::stop-commands::{end}\n{text.rstrip()}\n::{end}::", flush=True)


def write_job_summary(text: str) -> None:
    """Write to the summary on the job's page."""
    place = os.environ.get("GITHUB_STEP_SUMMARY")
    if place:
        with open(place, "a", encoding="utf-8") as file:
            file.write("\n".join(f"    {line}" for line in text[:500_000].splitlines()) + "\n\n")


def _parse_proposal(document: dict[str, Any]) -> Proposal:
    number = int(document["number"])
    return Proposal(
        number, document["head"]["sha"], f"refs/pull/{number}/head", document["base"]["ref"], document["user"]["login"]
    )


def _fetch_all_pages(path: str) -> list[dict[str, Any]]:
    joint = "&" if "?" in path else "?"
    pages = _run_gh("GET", f"{path}{joint}per_page=100", "--paginate", "--slurp")
    return [each for page in pages for each in page]


def _call_api(method: str, path: str, body: dict[str, Any] | None = None) -> Any:
    return _run_gh(method, path, *(["--input", "-"] if body is not None else []), body=body)


def _run_gh(method: str, path: str, *options: str, body: dict[str, Any] | None = None) -> Any:
    command = ["gh", "api", "--method", method, f"repos/{REPOSITORY}/{path}", *options]
    sent = json.dumps(body) if body is not None else None
    done = subprocess.run(command, input=sent, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"error: GitHub refused {method} {path}: {done.stderr.strip()}")
    return json.loads(done.stdout)
