"""Call GitLab through `curl`. Only this module does, and it never puts the token or a body on a command line."""

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

API = os.environ.get("CI_API_V4_URL", "")
PROJECT = os.environ.get("CI_PROJECT_ID", "")
BRANCH = os.environ.get("CI_DEFAULT_BRANCH", "main")
#: merge requests, in messages
PROPOSAL_NOUN = "merge request"
DRIFT = "reconciler-drift"
STATES = {"pending": "pending", "success": "success", "failure": "failed", "error": "failed"}


@dataclass(frozen=True)
class Proposal:
    """A merge request."""

    number: int
    #: its last commit
    head: str
    #: ref from which the commit can be fetched
    ref: str
    #: branch into which it is to be merged
    target: str
    author: str
    #: its pipeline in this project, to which the check is added; None without one
    pipeline: int | None = None


def find_open_proposal(number: int) -> Proposal | None:
    """Return the merge request, or None if it is no longer open."""
    found = _call_api("GET", f"merge_requests/{number}")
    return _parse_proposal(found) if found["state"] == "opened" else None


def find_proposal_by_head(head: str) -> Proposal | None:
    """Return the open merge request to the default branch with this head commit, also from a fork."""
    found = (_parse_proposal(each) for each in _fetch_all_pages("merge_requests?state=opened") if each["sha"] == head)
    return next((each for each in found if each.target == BRANCH), None)


def find_merged_proposal(commit: str) -> Proposal | None:
    """Return the merge request that brought a commit to the branch by merge, squash or fast-forward."""
    path = f"repository/commits/{commit}/merge_requests"
    found = [each for each in _fetch_all_pages(path) if each["state"] == "merged" and each["target_branch"] == BRANCH]
    exact = [each for each in found if commit in (each.get("merge_commit_sha"), each.get("squash_commit_sha"))]
    return _parse_proposal((exact or found)[0]) if found else None


def list_approvers(proposal: Proposal, head: str) -> set[str]:
    """Return the people who approved after the last push: GitLab records the time of an approval, not its commit."""
    versions = _fetch_all_pages(f"merge_requests/{proposal.number}/versions")
    newest = max(versions, key=lambda each: each["id"], default=None)
    if newest is None or newest["head_commit_sha"] != head:
        return set()
    found = _call_api("GET", f"merge_requests/{proposal.number}/approvals")["approved_by"]
    if any("approved_at" not in each for each in found):
        print("this GitLab does not report the time of approvals, so none counts", file=sys.stderr)
    return {each["user"]["username"] for each in found if (each.get("approved_at") or "") > newest["created_at"]}


def is_owner(owner: str, person: str) -> bool:
    """Return whether a name of CODEOWNERS means this person: the person, or a group with all its members."""
    name = owner.removeprefix("@")
    if not owner.startswith("@"):
        return False
    if name.lower() == person.lower():
        return True
    path = f"{API}/groups/{quote(name, safe='')}/members/all?query={quote(person)}"
    members = _run_curl("GET", path, ignored="404") or []
    return any(each["username"].lower() == person.lower() and each["state"] == "active" for each in members)


def post_comment(number: int, marker: str, body: str) -> None:
    """Write the note, or edit it in place."""
    notes = f"merge_requests/{number}/notes"
    me = _fetch_username()
    for each in _fetch_all_pages(notes):
        if each["author"]["username"] == me and each["body"].startswith(marker):
            _call_api("PUT", f"{notes}/{each['id']}", {"body": body})
            return
    _call_api("POST", notes, {"body": body})


def set_status(proposal: Proposal | None, commit: str, context: str, state: str, description: str) -> None:
    """Set a status of a commit. state: pending, success, failure or error. GitLab accepts 255 characters.

    GitLab refuses to make a pending status pending again; it is so then, from a job that was stopped."""
    status: dict[str, Any] = {
        "name": context,
        "state": STATES[state],
        "description": description[:255],
        "target_url": get_job_url(),
    }
    if proposal is not None and commit == proposal.head:
        # A commit from a fork is on no branch of this project.
        status |= {"pipeline_id": proposal.pipeline} if proposal.pipeline else {"ref": proposal.ref}
    else:
        status["ref"] = BRANCH
    is_pending = state == "pending"
    _call_api("POST", f"statuses/{commit}", status, ignored="400" if is_pending else None)


def read_status(commit: str, context: str) -> str | None:
    """Return the text of the bot's newest status of this context, or None."""
    me = _fetch_username()
    found = [
        each
        for each in _fetch_all_pages(f"repository/commits/{commit}/statuses?all=true&name={quote(context, safe='')}")
        if each["name"] == context and each["author"]["username"] == me
    ]
    newest = max(found, key=lambda each: each["id"], default=None)
    return str(newest["description"]) if newest else None


def update_issue(marker: str, title: str, body: str | None) -> None:
    """Open the issue or edit it; a body of None closes it."""
    me = _fetch_username()
    known = [
        each
        for each in _fetch_all_pages(f"issues?state=opened&labels={DRIFT}")
        if each["author"]["username"] == me and (each["description"] or "").startswith(marker)
    ]
    if known and body is None:
        _call_api("PUT", f"issues/{known[0]['iid']}", {"state_event": "close"})
    elif known:
        _call_api("PUT", f"issues/{known[0]['iid']}", {"description": body})
    elif body is not None:
        _call_api("POST", "issues", {"title": title, "description": body, "labels": DRIFT})


def build_git_credentials() -> dict[str, str]:
    """Return no variables: the runner's checkout can already fetch."""
    return {}


def get_job_url() -> str:
    """Return the page of this job, which has the full report."""
    return os.environ.get("CI_JOB_URL", "")


def write_job_log(text: str) -> None:
    """Write to the job's log, in which GitLab executes nothing."""
    if text.strip():
        print(text.rstrip(), flush=True)


def write_job_summary(text: str) -> None:
    """Do nothing: GitLab has no summary, and the job's log already has the text."""


def _parse_proposal(document: dict[str, Any]) -> Proposal:
    number = int(document["iid"])
    pipeline = document.get("head_pipeline") or {}
    own = pipeline.get("sha") == document["sha"] and str(pipeline.get("project_id")) == PROJECT
    return Proposal(
        number,
        document["sha"],
        f"refs/merge-requests/{number}/head",
        document["target_branch"],
        document["author"]["username"],
        int(pipeline["id"]) if own else None,
    )


def _fetch_username() -> str:
    return str(_run_curl("GET", f"{API}/user")["username"])


def _fetch_all_pages(path: str) -> list[dict[str, Any]]:
    joint = "&" if "?" in path else "?"
    found: list[dict[str, Any]] = []
    for page in range(1, 1000):
        more = _call_api("GET", f"{path}{joint}per_page=100&page={page}")
        found += more
        if len(more) < 100:
            break
    return found


def _call_api(method: str, path: str, body: dict[str, Any] | None = None, *, ignored: str | None = None) -> Any:
    return _run_curl(method, f"{API}/projects/{PROJECT}/{path}", body, ignored=ignored)


def _run_curl(method: str, url: str, body: dict[str, Any] | None = None, *, ignored: str | None = None) -> Any:
    """Send a request and return the parsed response; None for the ignored HTTP status. Other refusals are errors."""
    with tempfile.TemporaryDirectory() as private:
        lines = [
            f'url = "{url}"',
            f'request = "{method}"',
            f'header = "PRIVATE-TOKEN: {os.environ["GITLAB_API_TOKEN"]}"',
        ]
        if body is not None:
            place = os.path.join(private, "body.json")
            with open(place, "w", encoding="utf-8") as file:
                json.dump(body, file)
            lines += ['header = "Content-Type: application/json"', f'data-binary = "@{place}"']
        command = ["curl", "--silent", "--show-error", "--write-out", "\\n%{http_code}", "--config", "-"]
        done = subprocess.run(command, input="\n".join(lines), capture_output=True, text=True, check=False)
    answer, _, code = done.stdout.rpartition("\n")
    if ignored is not None and code == ignored:
        return None
    if done.returncode or not code.startswith("2"):
        raise SystemExit(f"error: GitLab refused {method} {url}: {code} {done.stderr.strip()}")
    return json.loads(answer)
