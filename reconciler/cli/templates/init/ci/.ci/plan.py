"""Plan a pull or merge request as it would be merged, and write one comment, one check and one signed record.

All three are about the same plan: they are written only if the request and its target are still what was planned.
Runs trusted code only. Usage: plan.py NUMBER | plan.py --head COMMIT. Exits 0 if the check was set, red or green.
"""

import argparse
import json
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import forge
import owners
import program
import record
import tree
from verdict import ReviewVerdict, judge_proposal

MARKER = "<!-- reconciler -->"
OUT = Path("out")
#: plans before the job gives up because the target branch or the store changes during each
MOST_ATTEMPTS = 3
#: the kinds that a roster brings; their changes are a preview here
ROSTER_KINDS = frozenset({"org", "user", "class", "enrollment"})


@dataclass(frozen=True)
class PlannedProposal:
    """The plan of one head, merged into one base."""

    verdict: ReviewVerdict
    #: the signed record for apply; None without a plan
    record_line: str | None
    #: Markdown
    report: str
    #: False if the store changed between the plan that is shown and the one that would be applied
    is_consistent: bool


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("number", nargs="?", type=int)
    parser.add_argument("--head")
    given = parser.parse_args()
    proposal = forge.find_open_proposal(given.number) if given.number else forge.find_proposal_by_head(given.head)
    if proposal is None or proposal.target != forge.BRANCH:
        print(f"skipped: this commit is not the head of an open {forge.PROPOSAL_NOUN} to {forge.BRANCH}")
        return
    for _ in range(MOST_ATTEMPTS):
        head, base = _fetch_commits(proposal)
        # Until the end, nobody merges by the check of an earlier plan, also if this job is stopped halfway.
        forge.set_status(proposal, head, "reconciler", "pending", "planning this commit")
        try:
            commit = tree.create_merge_commit(base, head)
        except tree.ConflictError:
            forge.set_status(proposal, head, "reconciler", "failure", "merge conflict: update the branch")
            return
        planned = _plan_proposal(proposal, base, head, commit)
        newest = forge.find_open_proposal(proposal.number)
        if newest is None or (newest.head, newest.target) != (head, proposal.target):
            print(f"skipped: the {forge.PROPOSAL_NOUN} changed while it was planned; the job of the change writes")
            return
        if planned.is_consistent and _fetch_commits(proposal) == (head, base):
            _write_outcome(proposal, base, planned)
            return
    sentence = f"{forge.BRANCH} or the store changed during each of {MOST_ATTEMPTS} plans; run this job again"
    forge.set_status(proposal, proposal.head, "reconciler", "error", sentence)
    print(f"error: {sentence}")


def _write_outcome(proposal: forge.Proposal, base: str, planned: PlannedProposal) -> None:
    verdict = planned.verdict
    job = forge.get_job_url()
    closing = (
        f"Plan of commit `{proposal.head[:12]}`, merged into `{proposal.target}` at `{base[:12]}`.\n"
        f"**Check `reconciler`:** {verdict.sentence}. The [full report]({job}) is an artifact of that job."
    )
    forge.post_comment(proposal.number, MARKER, f"{MARKER}\n{planned.report}\n\n{closing}\n")
    if planned.record_line:
        forge.set_status(proposal, proposal.head, "reconciler/plan", "success", planned.record_line)
    forge.set_status(proposal, proposal.head, "reconciler", verdict.state, verdict.sentence)
    print(f"{verdict.state}: {verdict.sentence}")


def _fetch_commits(proposal: forge.Proposal) -> tuple[str, str]:
    """Fetch and return the head and base commits.

    Raises CalledProcessError if there is a newer head, for which another job runs."""
    base = f"+refs/heads/{proposal.target}:refs/remotes/origin/{proposal.target}"
    tree.run_git("fetch", "--quiet", "--no-tags", "origin", proposal.ref, base, **forge.build_git_credentials())
    head = tree.run_git("rev-parse", "--verify", f"{proposal.head}^{{commit}}")
    return head, tree.run_git("rev-parse", "--verify", f"refs/remotes/origin/{proposal.target}^{{commit}}")


def _plan_proposal(proposal: forge.Proposal, base: str, head: str, commit: str) -> PlannedProposal:
    folder = tree.lay_out(commit)
    with tempfile.TemporaryDirectory() as private:  # the plan file contains people's names and never leaves this folder
        saved = Path(private) / "plan.reconciler"
        options = ("--base", base, "--detailed-exitcode", "--format", "json", "--people", "masked")
        shown = program.run_reconciler(folder, "plan", *options, "--out", str(saved))
        # Plan again without rosters, since apply ignores them; without any roster it is the same plan.
        with_roster = any(each["source"] for each in shown.plan["customers"])
        applied = program.run_reconciler(folder, "plan", *options, "--roster", "none") if with_roster else shown
        if not {shown.code, applied.code} <= program.PLAN_CODES:
            forge.set_status(proposal, head, "reconciler", "error", "planning failed; see the job log")
            raise SystemExit(program.ERROR)
        report = _write_reports(folder, saved) if saved.exists() else _build_diagnostics_report(folder)
    files = tree.list_changed_files(base, commit)
    known = owners.read_rules(Path.cwd())
    people = forge.list_approvers(proposal, head) - {proposal.author}
    members: dict[tuple[str, str], bool] = {}

    def owns(path: str, person: str) -> bool:
        for owner in owners.find_owners(known, path):
            if (owner, person) not in members:
                members[owner, person] = forge.is_owner(owner, person)
            if members[owner, person]:
                return True
        return False

    verdict = judge_proposal(max(shown.code, applied.code), shown.plan, files, people, owns)
    is_consistent = _list_setting_changes(shown.plan) == _list_setting_changes(applied.plan)
    if applied.plan["plan_id"] is None:
        return PlannedProposal(verdict, None, report, is_consistent)
    holds = record.compute_holds_digest(program.list_hold_ids(applied.plan))
    line = record.ReviewRecord(proposal.number, head, applied.plan["plan_id"], verdict.review_status, holds).line
    return PlannedProposal(verdict, line, report, is_consistent)


def _list_setting_changes(plan: dict[str, Any]) -> list[str]:
    """Return all changes of a plan except those of rosters, in a form that can be compared."""
    return sorted(
        json.dumps([customer["id"], change], sort_keys=True)
        for customer in plan["customers"]
        for change in customer["changes"]
        if change["kind"] not in ROSTER_KINDS
    )


def _write_reports(folder: Path, plan_file: Path) -> str:
    """Return Markdown for the comment; write the HTML report to out/ as the job's artifact. Both mask people."""
    OUT.mkdir(exist_ok=True)
    options = ("--people", "masked", "--full-report", forge.get_job_url())
    page = program.run_reconciler(folder, "show", str(plan_file), "--format", "html", *options)
    comment = program.run_reconciler(folder, "show", str(plan_file), "--format", "markdown", *options)
    if page.code or comment.code:
        raise SystemExit(program.ERROR)
    (OUT / "report.html").write_text(page.out, encoding="utf-8")
    return comment.out.strip()


def _build_diagnostics_report(folder: Path) -> str:
    """Return the validation errors in a fence that their text cannot close."""
    text = program.run_reconciler(folder, "validate").out[:50_000]
    fence = "`" * max(4, *(len(run) + 1 for run in re.findall("`+", text) or [""]))
    return f"**The files are invalid.**\n\n{fence}text\n{text}\n{fence}"


if __name__ == "__main__":
    main()
