"""List the runs of a store, as text and as JSON."""

import textwrap
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from reconciler.model.change import Action
from reconciler.model.ids import CustomerId, HoldId, Moment, PlanId, RunId
from reconciler.model.kind import Kind
from reconciler.reports.plan.json import Document, dump_json
from reconciler.reports.plan.terminal import clean_text, measure_widest, pad_to_width
from reconciler.reports.plan.wording import format_count, format_kind_count, format_moment

WIDTH = 80
INDENT = " " * 4
#: digits of a digest that identify it in text; the JSON has all
DIGEST_DIGITS = 12

ACTION_WORDS = {
    Action.DELETE: "removed",
    Action.SUSPEND: "suspended",
    Action.CONCLUDE: "concluded",
    Action.REKEY: "given a new ID",
    Action.RESTORE: "restored",
    Action.RESUME: "reactivated",
    Action.ADOPT: "linked",
    Action.MOVE: "moved",
    Action.UPDATE: "updated",
    Action.CREATE: "added",
}

#: People first, as in every report.
_KINDS = (Kind.USER, *(kind for kind in Kind if kind is not Kind.USER))


@dataclass(frozen=True, slots=True)
class Run:
    """One apply."""

    id: RunId
    customer: CustomerId
    #: ISO-8601 UTC
    started_at: Moment
    #: ISO-8601 UTC; None while it runs
    finished_at: Moment | None
    actor: str
    plan_id: PlanId
    outcome: str
    #: changes written, by kind, then by action
    counts: Mapping[str, Mapping[str, int]]
    git_commit: str | None = None
    #: IDs of the holds that it approved
    approvals: tuple[HoldId, ...] = ()
    #: of the roster; None without one
    source_sha256: str | None = None
    #: the run that it undid; None unless it is an undo
    undoes: RunId | None = None
    #: runs that undid it
    undone_by: tuple[RunId, ...] = ()


@dataclass(frozen=True, slots=True)
class LawfulRemoval:
    """Before-images that a purge or an erasure removed or changed."""

    certificate: int
    #: purge or erase
    kind: str
    customer: CustomerId
    at: Moment
    #: numbers of before-images and of their runs
    images: int
    runs: int


#: More removals than these are counted in text, and listed in JSON only.
LISTED_REMOVALS = 5


@dataclass(frozen=True, slots=True)
class Verification:
    #: how many runs are intact, from the first on
    runs: int
    #: whether the store key signed the last run, and so the whole chain
    has_signature: bool
    #: the first mismatch in words; None if all runs are intact
    mismatch: str | None = None
    #: the run of the mismatch
    run: RunId | None = None
    #: number of intact before-images
    images: int = 0
    removals: tuple[LawfulRemoval, ...] = ()
    #: number of runs of an earlier version whose before-images cannot be verified
    unsealed_runs: int = 0
    #: since when before-images of earlier versions are verified; None if there are none
    sealed_at: Moment | None = None

    @property
    def sentence(self) -> str:
        """Return the result in one sentence, or in several if before-images need their own."""
        if self.mismatch is not None:
            return f"Verification failed: {self.mismatch}."
        return " ".join([self._describe_runs(), *self._describe_images()])

    def _describe_images(self) -> Iterator[str]:
        if self.images:
            yield f"{format_count(self.images, 'before-image is', 'before-images are')} intact."
        for each in self.removals if len(self.removals) <= LISTED_REMOVALS else ():
            removed = format_count(each.images, "before-image was", "before-images were")
            yield (
                f"{removed} removed lawfully by the {each.kind} of {clean_text(each.customer)} on {each.at[:10]} "
                f"(certificate {each.certificate})."
            )
        if len(self.removals) > LISTED_REMOVALS:
            removed = format_count(sum(each.images for each in self.removals), "before-image", "before-images")
            yield (
                f"{removed} were removed lawfully by {len(self.removals):,} purges and erasures, the last on "
                f"{self.removals[-1].at[:10]} (certificate {self.removals[-1].certificate})."
            )
        if self.sealed_at is not None:
            yield f"Before-images of earlier versions are verified since {self.sealed_at[:10]}."
        if self.unsealed_runs:
            of = format_count(self.unsealed_runs, "run", "runs")
            yield f"The before-images of {of} cannot be verified yet. To seal them: reconciler store upgrade"

    def _describe_runs(self) -> str:
        if not self.runs:
            return "No runs yet; nothing to verify."
        intact = (
            "the only run is intact" if self.runs == 1 else f"all {self.runs:,} runs are intact and none is missing"
        )
        if self.has_signature:
            return f"Verified: {intact}, and the last one is signed with the store key."
        return (
            f"{intact[0].upper()}{intact[1:]}, but not signed yet: someone with database access could have rewritten "
            "them. The next apply signs them."
        )


def render_history_json(runs: Iterable[Run], verification: Verification | None = None) -> str:
    """Return `{runs: [...]}` in the order given, with `verification` if there is one."""
    document: Document = {"runs": [_build_document(run) for run in runs]}
    if verification is not None:
        document["verification"] = {
            "verified": verification.mismatch is None,
            "sealed": verification.has_signature,
            "runs": verification.runs,
            "run": verification.run,
            "message": verification.sentence,
            "before_images": verification.images,
            "removed": [
                {
                    "certificate": each.certificate,
                    "kind": each.kind,
                    "customer": each.customer,
                    "at": each.at,
                    "before_images": each.images,
                    "runs": each.runs,
                }
                for each in verification.removals
            ],
            "unsealed_runs": verification.unsealed_runs,
            "sealed_at": verification.sealed_at,
        }
    return dump_json(document)


def _build_document(run: Run) -> Document:
    return {
        "id": run.id,
        "customer": run.customer,
        "started_at": run.started_at,
        "finished_at": run.finished_at,
        "actor": run.actor,
        "plan_id": run.plan_id,
        "outcome": run.outcome,
        "counts": run.counts,
        "git_commit": run.git_commit,
        "approvals": list(run.approvals),
        "source_sha256": run.source_sha256,
        "undoes": run.undoes,
        "undone_by": list(run.undone_by),
    }


def render_history_text(runs: Iterable[Run]) -> str:
    """Return the runs in the order given: a line of run, time, customer and outcome, then its changes and its actor.

    No line is wider than 80 cells unless a single name is."""
    known = list(runs)
    if not known:
        return "No runs yet. Nothing has been applied to this store.\n"
    heads = [
        (
            f"run {run.id}",
            format_moment(run.finished_at or run.started_at),
            clean_text(run.customer),
            clean_text(run.outcome),
        )
        for run in known
    ]
    widths = [measure_widest([head[column] for head in heads]) for column in range(len(heads[0]))]
    return (
        "\n".join("\n".join(_format_run_lines(run, head, widths)) for run, head in zip(known, heads, strict=True))
        + "\n"
    )


def _format_run_lines(run: Run, head: tuple[str, ...], widths: list[int]) -> Iterator[str]:
    yield "  ".join(pad_to_width(cell, width) for cell, width in zip(head, widths, strict=True)).rstrip()
    yield from _wrap_text(_summarize_counts(run.counts))
    for facts in (_describe_actor(run), _describe_approvals(run), _describe_undo(run)):
        yield from _wrap_text(" · ".join(facts))


def _wrap_text(text: str) -> list[str]:
    return textwrap.wrap(
        text,
        WIDTH,
        initial_indent=INDENT,
        subsequent_indent=INDENT,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _describe_actor(run: Run) -> Iterator[str]:
    yield f"by {clean_text(run.actor)}"
    yield f"plan {run.plan_id.removeprefix('sha256:')[:DIGEST_DIGITS]}"
    if run.git_commit:
        yield f"commit {clean_text(run.git_commit)[:DIGEST_DIGITS]}"


def _describe_approvals(run: Run) -> Iterator[str]:
    if run.approvals:
        yield f"approved {', '.join(clean_text(each) for each in run.approvals)}"


def _describe_undo(run: Run) -> Iterator[str]:
    if run.undoes is not None:
        yield f"undid run {run.undoes}"
    if run.undone_by:
        yield f"undone by run {', '.join(str(each) for each in run.undone_by)}"


def _summarize_counts(counts: Mapping[str, Mapping[str, int]]) -> str:
    """Return `2 people removed, 20 added; 61 enrollments added`."""
    parts = []
    for kind in _KINDS:
        numbers = counts.get(kind.value, {})
        done = [(action, numbers[action.value]) for action in Action if numbers.get(action.value)]
        words = [
            f"{f'{number:,}' if place else format_kind_count(number, kind)} {ACTION_WORDS[action]}"
            for place, (action, number) in enumerate(done)
        ]
        if words:
            parts.append(", ".join(words))
    return "; ".join(parts) or "nothing"
