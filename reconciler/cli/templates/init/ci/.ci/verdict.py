"""Whether a proposal may be merged, and what the check says: decided from the plan, the files and who agreed."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

import program
from record import APPROVED, CLEAR, WAITING

#: Files that decide how proposals are judged; they count as weakened protection.
MACHINERY = (".ci/", ".github/", ".gitlab/", ".gitlab-ci.yml", "CODEOWNERS", "docs/CODEOWNERS", "reconciler.yaml")

OwnershipCheck = Callable[[str, str], bool]


@dataclass(frozen=True)
class ReviewVerdict:
    """state: success or failure. word: for the record. sentence: what the check says."""

    state: str
    review_status: str
    sentence: str


def judge_proposal(
    code: int, plan: dict[str, Any], files: Collection[str], approvers: Collection[str], owns: OwnershipCheck
) -> ReviewVerdict:
    """code: of `plan --detailed-exitcode`. agreed: who approved this very commit, its author left out. owns: whether
    this person may agree to this file."""
    if code == program.INVALID:
        return ReviewVerdict("failure", WAITING, "the files do not validate; the comment says where")
    doubts = _list_doubts(code, plan, files)
    if not doubts:
        return ReviewVerdict("success", CLEAR, _summarize_counts(plan))
    unowned = [path for path in files if not any(owns(path, person) for person in approvers)]
    if files and not unowned:
        return ReviewVerdict("success", APPROVED, f"{', '.join(doubts)}: approved by a code owner")
    return ReviewVerdict("failure", WAITING, f"{', '.join(doubts)}: a code owner has to approve this commit")


def _list_doubts(code: int, plan: dict[str, Any], files: Collection[str]) -> list[str]:
    summary = plan["summary"]
    doubts = []
    if code == program.HELD or summary.get("held"):
        doubts.append(f"{summary.get('held', 0)} held")
    later = sum(1 for each in plan["customers"] if each.get("would_hold"))
    if later:
        doubts.append(f"{_format_count(later, 'roster')} would be held")
    if summary.get("weakened"):
        doubts.append(f"{_format_count(summary['weakened'], 'protection')} weakened")
    if any(path.startswith(MACHINERY) for path in files):
        doubts.append("the reviews' own rules change")
    return doubts


def _format_count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")


def _summarize_counts(plan: dict[str, Any]) -> str:
    summary = plan["summary"]
    counted = [(name, summary.get(name, 0)) for name in ("delete", "suspend", "rekey", "update", "create")]
    found = ", ".join(f"{name} {number}" for name, number in counted if number)
    return found or "nothing changes"
