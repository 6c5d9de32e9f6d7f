"""Decide whether a change may be merged, from its plan, its files and its approvals."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

import program
from record import APPROVED, CLEAR, WAITING

#: files that control the reviews; changing them counts as weakening a protection
MACHINERY = (".ci/", ".github/", ".gitlab/", ".gitlab-ci.yml", "CODEOWNERS", "docs/CODEOWNERS", "reconciler.yaml")

OwnershipCheck = Callable[[str, str], bool]


@dataclass(frozen=True)
class ReviewVerdict:
    #: success or failure
    state: str
    #: of the record: CLEAR, APPROVED or WAITING
    review_status: str
    #: text of the check
    sentence: str


def judge_proposal(
    code: int, plan: dict[str, Any], files: Collection[str], approvers: Collection[str], owns: OwnershipCheck
) -> ReviewVerdict:
    """Return the verdict of a change.

    code: exit code of `plan --detailed-exitcode`. approvers: people who approved this commit, without its author. owns:
    tells whether a person (second) owns a file (first)."""
    if code == program.INVALID:
        return ReviewVerdict("failure", WAITING, "the files are invalid; see the comment")
    doubts = _list_doubts(code, plan, files)
    if not doubts:
        return ReviewVerdict("success", CLEAR, _summarize_counts(plan))
    unowned = [path for path in files if not any(owns(path, person) for person in approvers)]
    if files and not unowned:
        return ReviewVerdict("success", APPROVED, f"{', '.join(doubts)}: approved by a code owner")
    return ReviewVerdict("failure", WAITING, f"{', '.join(doubts)}: a code owner must approve this commit")


def _list_doubts(code: int, plan: dict[str, Any], files: Collection[str]) -> list[str]:
    summary = plan["summary"]
    doubts = []
    if code == program.HELD or summary.get("held"):
        doubts.append(f"{summary.get('held', 0)} held")
    later = sum(1 for each in plan["customers"] if each.get("would_hold"))
    if later:
        doubts.append(f"{_format_count(later, 'roster')} would be held")
    access = summary.get("access", 0)
    if weakened := summary.get("weakened", 0) - access:
        doubts.append(f"{_format_count(weakened, 'protection')} weakened")
    if access:
        doubts.append("1 change of access" if access == 1 else f"{access} changes of access")
    if any(path.startswith(MACHINERY) for path in files):
        doubts.append("review rules changed")
    return doubts


def _format_count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")


def _summarize_counts(plan: dict[str, Any]) -> str:
    summary = plan["summary"]
    counted = [(name, summary.get(name, 0)) for name in ("delete", "suspend", "rekey", "update", "create")]
    found = ", ".join(f"{name} {number}" for name, number in counted if number)
    return found or "no changes"
