"""Applies what was merged, proposal by proposal, if and only if the effects are those that were reviewed.

Usage: apply.py BEFORE AFTER, of a push; or apply.py --commit COMMIT --expect PLAN_ID [--approve HOLD], by hand: the
files of that commit, against those of its first parent. Exits as `reconciler apply` does, with the worst that happened.
"""

from __future__ import annotations

import argparse
import itertools
import sys
from dataclasses import dataclass

import forge
import program
import record
import tree

NO_COMMIT = "0" * 40
#: the worst first; what is not listed is worse than all
BEST_TO_WORST = (0, program.HELD, program.STALE, program.PARTLY, program.ERROR, program.INVALID)


@dataclass(frozen=True)
class MergeRange:
    """The commits of one merge. proposal: None where somebody pushed without one."""

    before: str
    after: str
    proposal: forge.Proposal | None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pushed", nargs="*", metavar="BEFORE AFTER")
    parser.add_argument("--commit")
    parser.add_argument("--expect")
    parser.add_argument("--approve", action="append", default=[])
    given = parser.parse_args()
    if given.commit:
        part = _find_merge_of_commit(given.commit)
        sys.exit(_run_apply(part, given.expect, [each for each in given.approve if each]))
    before, after = given.pushed
    if before == NO_COMMIT:
        print("the first push of this branch: apply it once by hand, README.md says how")
        return
    codes = [_apply_merge(part) for part in split_push_into_merges(before, after)]
    sys.exit(max(codes, key=lambda code: BEST_TO_WORST.index(code) if code in BEST_TO_WORST else 99, default=0))


def split_push_into_merges(before: str, after: str) -> list[MergeRange]:
    """What a push brought, oldest first; a merge queue brings several proposals at once."""
    tree.git("merge-base", "--is-ancestor", before, after)
    commits = tree.git("rev-list", "--first-parent", "--reverse", f"{before}..{after}").split()
    found = [(commit, forge.merged_proposal(commit)) for commit in commits]
    result: list[MergeRange] = []
    for proposal, group in itertools.groupby(found, key=lambda each: each[1]):
        last = list(group)[-1][0]
        result.append(MergeRange(result[-1].after if result else before, last, proposal))
    return result


def _find_merge_of_commit(commit: str) -> MergeRange:
    """By hand. Raises SystemExit where the default branch, which this job runs on, never was at that commit: else
    whoever may start the job could apply a branch that nobody reviewed."""
    after = tree.git("rev-parse", "--verify", "--end-of-options", f"{commit}^{{commit}}")
    if after not in tree.git("rev-list", "--first-parent", "HEAD").split():
        raise SystemExit(
            f"error: {after[:12]} is no commit that {forge.BRANCH} was brought to; nothing was planned or applied\n"
            "    Merge its proposal, and name the commit that the merge made."
        )
    return MergeRange(tree.git("rev-parse", "--verify", f"{after}^1"), after, None)


def _apply_merge(merge: MergeRange) -> int:
    now = _plan_merge(merge)
    if now.code == program.DONE:
        return _report_outcome(merge, program.DONE, "nothing to apply")
    if merge.proposal is None:
        forge.log(now.out)
        return _report_outcome(merge, program.STALE, "pushed without a proposal, so nobody reviewed it")
    proposal = merge.proposal
    reviewed = record.read(forge.record(proposal.head, "reconciler/plan"), proposal.number, proposal.head)
    if reviewed is None:
        return _report_outcome(merge, program.STALE, f"no signed plan of {proposal.head[:12]}, its last commit")
    if reviewed.word == record.WAITING:
        return _report_outcome(merge, program.STALE, "merged without the approval that its plan waited for")
    holds = program.holds(now.plan)
    agreed = reviewed.word == record.APPROVED and record.digest(holds) == reviewed.holds
    return _run_apply(merge, reviewed.plan_id, holds if agreed else [])


def _plan_merge(merge: MergeRange) -> program.Answer:
    options = ("--roster", "none", "--detailed-exitcode", "--format", "json", "--people", "masked")
    return program.reconciler(tree.lay_out(merge.after), "plan", "--base", merge.before, *options)


def _run_apply(merge: MergeRange, plan_id: str, approvals: list[str]) -> int:
    approved = [word for each in approvals for word in ("--approve", each)]
    options = ("--base", merge.before, "--expect", plan_id, "--roster", "none", "--lock-timeout", "300")
    answer = program.reconciler(tree.lay_out(merge.after), "apply", *options, *approved, secrets=True)
    forge.log(answer.out)
    forge.summary(answer.out + answer.err)
    words = {
        program.DONE: "applied",
        program.HELD: "a part is held and was not applied",
        program.STALE: "not applied: its effects are no longer those reviewed",
        program.PARTLY: "some customers were applied, others failed",
        program.INVALID: "not applied: the files do not validate",
    }
    return _report_outcome(merge, answer.code, words.get(answer.code, "not applied: the job's log says why"))


def _report_outcome(merge: MergeRange, code: int, sentence: str) -> int:
    """Says it where the merge is seen, and what to do next."""
    forge.status(merge.proposal, merge.after, "reconciler/apply", "failure" if code else "success", sentence)
    print(f"{merge.after[:12]}: {sentence}")
    if code:
        todo = (
            "What to do: look at the plan above. If it is right, run the apply job by hand with commit "
            f"{merge.after} and the plan's id (and the id of what is held); if not, open a proposal that takes it back."
        )
        print(todo)
        forge.summary(f"{sentence}\n{todo}")
    return code


if __name__ == "__main__":
    main()
