"""Plans a proposal as it would be merged: one comment, one check, one signed record. Runs on trusted code alone.

Usage: plan.py NUMBER | plan.py --head COMMIT. Exit 0 where the check could be set, red or green.
"""

from __future__ import annotations

import argparse
import re
import tempfile
from pathlib import Path

import forge
import owners
import program
import record
import tree
from verdict import Verdict, judge

MARKER = "<!-- reconciler -->"
OUT = Path("out")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("number", nargs="?", type=int)
    parser.add_argument("--head")
    given = parser.parse_args()
    proposal = forge.proposal(given.number) if given.number else forge.proposal_of_head(given.head)
    if proposal is None or proposal.target != forge.BRANCH:
        print(f"no open proposal for {forge.BRANCH} has this as its last commit: nothing to do")
        return
    head, base = _fetch_commits(proposal)
    try:
        commit = tree.merged(base, head)
    except tree.ConflictError:
        forge.status(
            proposal, head, "reconciler", "failure", "it does not merge by itself: bring the branch up to date"
        )
        return
    verdict, record_line, report = _plan_proposal(proposal, base, head, commit)
    closing = (
        f"**Check `reconciler`:** {verdict.sentence}. [The whole report]({forge.job()}) is an artifact of that job."
    )
    forge.comment(proposal.number, MARKER, f"{MARKER}\n{report}\n\n{closing}\n")
    if record_line:
        forge.status(proposal, head, "reconciler/plan", "success", record_line)
    forge.status(proposal, head, "reconciler", verdict.state, verdict.sentence)
    print(f"{verdict.state}: {verdict.sentence}")


def _fetch_commits(proposal: forge.Proposal) -> tuple[str, str]:
    """Its last commit and its base's. Raises CalledProcessError where it moved on: then another job is under way."""
    base = f"+refs/heads/{proposal.target}:refs/remotes/origin/{proposal.target}"
    tree.git("fetch", "--quiet", "--no-tags", "origin", proposal.ref, base, **forge.git_access())
    head = tree.git("rev-parse", "--verify", f"{proposal.head}^{{commit}}")
    return head, tree.git("rev-parse", "--verify", f"refs/remotes/origin/{proposal.target}^{{commit}}")


def _plan_proposal(proposal: forge.Proposal, base: str, head: str, commit: str) -> tuple[Verdict, str | None, str]:
    folder = tree.lay_out(commit)
    with tempfile.TemporaryDirectory() as private:  # the plan file holds people's names: it never leaves this folder
        saved = Path(private) / "plan.reconciler"
        options = ("--base", base, "--detailed-exitcode", "--format", "json", "--people", "masked")
        shown = program.reconciler(folder, "plan", *options, "--out", str(saved))
        # what an apply would do: rosters are only shown, so where there is none it is the same plan
        with_roster = any(each["source"] for each in shown.plan["customers"])
        applied = program.reconciler(folder, "plan", *options, "--roster", "none") if with_roster else shown
        if not {shown.code, applied.code} <= program.COMPARED:
            forge.status(proposal, head, "reconciler", "error", "no plan could be made; the job's log says why")
            raise SystemExit(program.ERROR)
        report = _write_reports(folder, saved) if saved.exists() else _build_diagnostics_report(folder)
    files = tree.changed(base, commit)
    known = owners.rules(Path.cwd())
    people = forge.approvers(proposal, head) - {proposal.author}
    members: dict[tuple[str, str], bool] = {}

    def owns(path: str, person: str) -> bool:
        for owner in owners.owners(known, path):
            if (owner, person) not in members:
                members[owner, person] = forge.is_owner(owner, person)
            if members[owner, person]:
                return True
        return False

    verdict = judge(max(shown.code, applied.code), shown.plan, files, people, owns)
    if applied.plan["plan_id"] is None:
        return verdict, None, report
    holds = record.digest(program.holds(applied.plan))
    line = record.Record(proposal.number, head, applied.plan["plan_id"], verdict.word, holds).line
    return verdict, line, report


def _write_reports(folder: Path, plan_file: Path) -> str:
    """Markdown for the comment; the HTML page is left in out/ for the job to keep. People are masked in both."""
    OUT.mkdir(exist_ok=True)
    options = ("--people", "masked", "--full-report", forge.job())
    page = program.reconciler(folder, "show", str(plan_file), "--format", "html", *options)
    comment = program.reconciler(folder, "show", str(plan_file), "--format", "markdown", *options)
    if page.code or comment.code:
        raise SystemExit(program.ERROR)
    (OUT / "report.html").write_text(page.out, encoding="utf-8")
    return comment.out.strip()


def _build_diagnostics_report(folder: Path) -> str:
    """What does not validate, as text that nothing in it can break out of."""
    text = program.reconciler(folder, "validate").out[:50_000]
    fence = "`" * max(4, *(len(run) + 1 for run in re.findall("`+", text) or [""]))
    return f"**The files do not validate.**\n\n{fence}text\n{text}\n{fence}"


if __name__ == "__main__":
    main()
