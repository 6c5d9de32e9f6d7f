"""Applies the pre-approvals (`approvals`) of a customer's file: a number of people who may leave, a date and a reason.

Approved people count toward no limit. They are recorded under the pre-approval, so that its number holds over all runs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from reconciler.model.change import Action
from reconciler.model.diagnostic import Diagnostic, Span, build_info, build_warning
from reconciler.model.kind import Kind
from reconciler.planning.holds.limits import PEOPLE_LOSS_LIMITS, match_counted_rows


@dataclass(frozen=True, slots=True)
class PreApproval:
    """One entry of `approvals`."""

    #: the number of people over all runs
    people: int
    #: the last date, YYYY-MM-DD
    until: str
    reason: str
    span: Span | None = None

    @property
    def name(self) -> str:
        """The name under which uses are recorded, whatever `until` is. Commas of the reason are replaced, because they
        separate the names of limits."""
        return f"approval {self.reason}".replace(",", " ")


@dataclass(frozen=True, slots=True)
class ReleaseResult:
    """The changes after pre-approvals were used."""

    changes: dict[Kind, pl.DataFrame]
    diagnostics: tuple[Diagnostic, ...]


def apply_approvals(
    changes: Mapping[Kind, pl.DataFrame],
    exceeding_rows: pl.DataFrame,
    approvals: Sequence[PreApproval],
    earlier_uses: pl.DataFrame,
    today: str,
) -> ReleaseResult:
    """Release held people by a pre-approval.

    `exceeding_rows` has `kind` and `key` of the rows that exceeded limits would hold. The first pre-approval, by its
    last date, that covers everyone who waits releases them all with their dependent rows. One for fewer people
    releases nobody, because it does not say whom.
    """
    frames = dict(changes)
    valid = sorted((each for each in approvals if each.until >= today), key=lambda each: (each.until, each.reason))
    notes = [_warn_expired(each) for each in approvals if each.until < today]
    users = frames.get(Kind.USER)
    people = (
        users.filter(
            match_counted_rows(*PEOPLE_LOSS_LIMITS)
            & pl.col("key").is_in(exceeding_rows.filter(pl.col("kind") == Kind.USER.value)["key"].implode())
        )
        if users is not None
        else pl.DataFrame()
    )
    used: PreApproval | None = None
    for approval in valid if people.height else []:
        left = approval.people - earlier_uses.filter(pl.col("name") == approval.name)["row_id"].n_unique()
        if people.height <= left:
            used = approval
            frames = _release_people(frames, people["key"], approval.name)
            notes.append(
                build_info(
                    "approved-in-advance",
                    f"the pre-approval until {approval.until} ({approval.reason}) covers {people.height:,} people who "
                    f"leave; {left - people.height:,} of {approval.people:,} remain",
                    approval.span,
                )
            )
            break
        notes.append(_warn_too_few(approval, people.height, left))
    notes += [_warn_unused(each) for each in valid if each is not used and not people.height]
    return ReleaseResult(frames, tuple(notes))


def _release_people(frames: dict[Kind, pl.DataFrame], people: pl.Series, name: str) -> dict[Kind, pl.DataFrame]:
    """Count people toward the pre-approval instead of limits, and their enrollments toward nothing."""

    def renamed(frame: pl.DataFrame, mine: pl.Expr, limits: pl.Expr) -> pl.DataFrame:
        return frame.with_columns(pl.when(mine).then(limits).otherwise("limits").alias("limits"))

    released = dict(frames)
    released[Kind.USER] = renamed(
        frames[Kind.USER], match_counted_rows(*PEOPLE_LOSS_LIMITS) & pl.col("key").is_in(people.implode()), pl.lit(name)
    )
    if Kind.ENROLLMENT in frames:
        theirs = (pl.col("action") == Action.DELETE.value) & pl.col("before_user").is_in(people.implode())
        released[Kind.ENROLLMENT] = renamed(
            frames[Kind.ENROLLMENT], theirs.fill_null(False), pl.lit(None, dtype=pl.String)
        )
    return released


def _warn_expired(approval: PreApproval) -> Diagnostic:
    return build_warning(
        "approval-expired",
        f"the pre-approval of {approval.people:,} people expired on {approval.until} ({approval.reason})",
        approval.span,
        "Remove it, or set a later `until`.",
    )


def _warn_unused(approval: PreApproval) -> Diagnostic:
    return build_warning(
        "approval-unused",
        f"the pre-approval of {approval.people:,} people until {approval.until} was not needed for this plan "
        f"({approval.reason})",
        approval.span,
        "No change is waiting for it. Remove it when you no longer need it.",
    )


def _warn_too_few(approval: PreApproval, people: int, left: int) -> Diagnostic:
    return build_warning(
        "approval-too-small",
        f"{people:,} people would leave, but the pre-approval until {approval.until} covers only {max(left, 0):,} "
        "more; it applies to nobody",
        approval.span,
        "Approve the hold by its ID, or raise `people` of the pre-approval.",
    )
