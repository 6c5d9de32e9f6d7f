"""Apply each merged pull or merge request if its changes are those that were reviewed.

Usage: apply.py BEFORE AFTER, for a push; apply.py --commit COMMIT --expect PLAN_ID [--approve HOLD], to apply a commit
manually, compared with its first parent. Exits with the worst exit code of `reconciler apply`.
"""

import argparse
import itertools
import sys
from dataclasses import dataclass

import forge
import program
import record
import tree

NO_COMMIT = "0" * 40
#: exit codes; any other is worse than all of these
BEST_TO_WORST = (0, program.HELD, program.STALE, program.PARTLY, program.ERROR, program.INVALID)


@dataclass(frozen=True)
class MergeRange:
    """The commits of one merge."""

    before: str
    after: str
    #: None for a push without a pull or merge request
    proposal: forge.Proposal | None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pushed", nargs="*", metavar="BEFORE AFTER")
    parser.add_argument("--commit")
    parser.add_argument("--expect")
    parser.add_argument("--approve", action="append", default=[])
    options = parser.parse_args()
    if options.commit:
        merge = _find_merge_of_commit(options.commit)
        sys.exit(_run_apply(merge, options.expect, [each for each in options.approve if each]))
    before, after = options.pushed
    if before == NO_COMMIT:
        print("this is the first push of the branch: run the first apply manually, see README.md")
        return
    codes = [_apply_merge(merge) for merge in split_push_into_merges(before, after)]
    sys.exit(max(codes, key=lambda code: BEST_TO_WORST.index(code) if code in BEST_TO_WORST else 99, default=0))


def split_push_into_merges(before: str, after: str) -> list[MergeRange]:
    """Return the merges of a push, oldest first; a merge queue pushes several at once."""
    tree.run_git("merge-base", "--is-ancestor", before, after)
    commits = tree.run_git("rev-list", "--first-parent", "--reverse", f"{before}..{after}").split()
    found = [(commit, forge.find_merged_proposal(commit)) for commit in commits]
    result: list[MergeRange] = []
    for proposal, group in itertools.groupby(found, key=lambda each: each[1]):
        last = list(group)[-1][0]
        result.append(MergeRange(result[-1].after if result else before, last, proposal))
    return result


def _find_merge_of_commit(commit: str) -> MergeRange:
    """Return the merge to apply manually.

    Raises SystemExit unless the default branch, on which this job runs, was at that commit: otherwise anyone who may
    start the job could apply a branch that nobody reviewed."""
    after = tree.run_git("rev-parse", "--verify", "--end-of-options", f"{commit}^{{commit}}")
    if after not in tree.run_git("rev-list", "--first-parent", "HEAD").split():
        raise SystemExit(
            f"error: {after[:12]} is not a merged commit of {forge.BRANCH}; nothing was planned or applied\n"
            f"    Merge the {forge.PROPOSAL_NOUN} and pass the commit that the merge created."
        )
    return MergeRange(tree.run_git("rev-parse", "--verify", f"{after}^1"), after, None)


def _apply_merge(merge: MergeRange) -> int:
    planned = _plan_merge(merge)
    if planned.code == program.DONE:
        return _report_outcome(merge, program.DONE, "nothing to apply")
    if merge.proposal is None:
        forge.write_job_log(planned.out)
        return _report_outcome(merge, program.STALE, f"pushed without a {forge.PROPOSAL_NOUN}, so nobody reviewed it")
    proposal = merge.proposal
    reviewed = record.parse_record(forge.read_status(proposal.head, "reconciler/plan"), proposal.number, proposal.head)
    if reviewed is None:
        return _report_outcome(merge, program.STALE, f"no signed plan of {proposal.head[:12]}, the head commit")
    if reviewed.review_status == record.WAITING:
        return _report_outcome(merge, program.STALE, "merged without the approval that its plan required")
    holds = program.list_hold_ids(planned.plan)
    is_approved = reviewed.review_status == record.APPROVED and record.compute_holds_digest(holds) == reviewed.holds
    return _run_apply(merge, reviewed.plan_id, holds if is_approved else [])


def _plan_merge(merge: MergeRange) -> program.ProgramResult:
    options = ("--roster", "none", "--detailed-exitcode", "--format", "json", "--people", "masked")
    return program.run_reconciler(tree.lay_out(merge.after), "plan", "--base", merge.before, *options)


def _run_apply(merge: MergeRange, plan_id: str, approvals: list[str]) -> int:
    approved = [word for each in approvals for word in ("--approve", each)]
    options = ("--base", merge.before, "--expect", plan_id, "--roster", "none", "--lock-timeout", "300")
    answer = program.run_reconciler(tree.lay_out(merge.after), "apply", *options, *approved, secrets=True)
    forge.write_job_log(answer.out)
    forge.write_job_summary(answer.out + answer.err)
    words = {
        program.DONE: "applied",
        program.HELD: "applied, except changes that are held",
        program.STALE: "not applied: the changes differ from what was reviewed",
        program.PARTLY: "some customers were applied, others failed",
        program.INVALID: "not applied: the files are invalid",
    }
    return _report_outcome(merge, answer.code, words.get(answer.code, "not applied: see the job log"))


def _report_outcome(merge: MergeRange, code: int, sentence: str) -> int:
    """Report the outcome as a status of the merge, with the next step; return the exit code."""
    forge.set_status(merge.proposal, merge.after, "reconciler/apply", "failure" if code else "success", sentence)
    print(f"{merge.after[:12]}: {sentence}")
    if code:
        advice = (
            f"Next: review the plan above. If it is correct, run the apply job manually with commit {merge.after}, the "
            f"plan ID and any hold ID. Otherwise open a {forge.PROPOSAL_NOUN} that reverts the change."
        )
        print(advice)
        forge.write_job_summary(f"{sentence}\n{advice}")
    return code


if __name__ == "__main__":
    main()
