"""Source gates: what a snapshot must pass before what is missing from it counts as gone.

One small rule each, in the table RULES; what a gate does and says to people stands in `model.gate`. Rules that the
reader itself holds (an archive cut off, a file without its header) refuse before a snapshot is made.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import polars as pl

from reconciler.model.diagnostic import Diagnostic, Severity, Span, build_info, build_warning
from reconciler.model.gate import GATES, GateOutcome
from reconciler.model.ids import Moment
from reconciler.model.kind import ROSTER_KINDS, Kind
from reconciler.model.reason import Reason
from reconciler.model.roster import AccountStatus
from reconciler.oneroster.snapshot import Snapshot, SourceFacts
from reconciler.planning.frames.live import LiveRoster

#: A file may be so much shorter than in the last good roster, in per cent, and by so many rows at any rate.
MAX_DROP_PERCENT = 20
ACCEPTABLE_ROW_DROP = {"orgs": 1, "users": 5, "classes": 5, "enrollments": 20}
#: More rows than this share with a role that nobody knows are no slips of the pen.
MAX_UNKNOWN_ROLES_SHARE = 0.02
ACCEPTABLE_UNKNOWN_ROLES = 5
ACCEPTABLE_DISABLED = 5
#: More keys than this share that a spreadsheet has changed.
MAX_DAMAGED_KEYS_SHARE = 0.05
#: Files whose absence leaves open what classes and enrollments mean: whether their terms have ended.
CLASS_RELATED_FILES = frozenset({"academicSessions"})

SPREADSHEET_NUMBER = r"^\d(?:[.,]\d+)?E\+\d+$"


@dataclass(frozen=True, slots=True)
class LastRoster:
    """What is kept of the last good roster beside its rows. rows: by file stem. roots: sourcedIds of orgs above all.
    match_with: how its people were matched."""

    sha256: str
    fetched_at: Moment
    rows: Mapping[str, int]
    facts: SourceFacts = field(default_factory=SourceFacts)
    roots: tuple[str, ...] = ()
    match_with: str | None = None


@dataclass(frozen=True, slots=True)
class ExceptionToGate:
    """`allow` of a customer's file: a gate that is expected to object. until: the last day. span: where it stands."""

    gate: str
    until: str
    reason: str
    span: Span | None = None


@dataclass(frozen=True, slots=True)
class GateFinding:
    """What a gate objects to. seen: what was seen and what was expected. hint: what to do.

    kinds: whose losses are held. orgs: only those of these orgs; None for all. everything: not losses alone, where the
    whole file is in doubt. reasons: changes of people for these reasons are held as well.
    """

    code: str
    message: str
    hint: str
    span: Span | None = None
    kinds: frozenset[Kind] = frozenset(ROSTER_KINDS)
    orgs: tuple[str, ...] | None = None
    holds_everything: bool = False
    reasons: tuple[str, ...] = ()

    @property
    def sentence(self) -> str:
        """For people who are no programmers."""
        return GATES[self.code].sentence


@dataclass(frozen=True, slots=True)
class GateResult:
    """refusals: errors; where there are any, nothing may be compared. held: findings whose rows wait for a person."""

    refusals: tuple[Diagnostic, ...]
    findings: tuple[GateFinding, ...]
    diagnostics: tuple[Diagnostic, ...]


@dataclass(frozen=True, slots=True)
class GateInput:
    """What a rule looks at. alive: how many of each kind the store holds of this customer."""

    snapshot: Snapshot
    last_roster: LastRoster | None
    live: LiveRoster
    live_counts: Mapping[Kind, int]


GateRule = Callable[[GateInput], Iterable[GateFinding]]


def check_gates(gate_input: GateInput, exceptions: Sequence[ExceptionToGate] = (), today: str = "") -> GateResult:
    """Every gate, in the order of RULES. today: YYYY-MM-DD, against which allowances end."""
    found = [finding for rule in RULES for finding in rule(gate_input)]
    valid = {each.gate: each for each in exceptions if each.until >= today}
    refusals, held, notes = [], [], []
    for finding in found:
        gate = GATES[finding.code]
        allowance = valid.get(finding.code) if gate.can_be_allowed else None
        if allowance is not None:
            notes.append(_report_exception(finding, allowance))
        elif gate.outcome is GateOutcome.REFUSED:
            refusals.append(_build_diagnostic(finding, Severity.ERROR))
        else:
            held.append(finding)
            notes.append(_build_diagnostic(finding, Severity.WARNING))
    notes += _report_stale_exceptions(exceptions, valid, {finding.code for finding in found}, today)
    return GateResult(tuple(refusals), tuple(held), tuple(notes))


def _build_diagnostic(finding: GateFinding, severity: Severity) -> Diagnostic:
    return Diagnostic(finding.code, severity, finding.message, finding.span, finding.hint)


def _report_exception(finding: GateFinding, exception: ExceptionToGate) -> Diagnostic:
    return build_info(
        "gate-allowed",
        f"{finding.code} is allowed until {exception.until} ({exception.reason}): {finding.message}",
        exception.span,
    )


def _report_stale_exceptions(
    exceptions: Iterable[ExceptionToGate], valid: Mapping[str, ExceptionToGate], codes: set[str], today: str
) -> Iterator[Diagnostic]:
    for each in exceptions:
        if each.until < today:
            yield build_warning(
                "allowance-expired",
                f"the allowance of {each.gate} ended on {each.until}: {each.reason}",
                each.span,
                "remove it, or give it another last day",
            )
        elif each.gate not in codes and valid[each.gate] is each:
            yield build_warning(
                "allowance-unused",
                f"{each.gate} is allowed until {each.until}, and this roster passes it anyway: {each.reason}",
                each.span,
                "remove it once it is no longer needed: while it stands, nobody is asked",
            )


def check_incomplete_source(case: GateInput) -> Iterator[GateFinding]:
    if not case.snapshot.complete:
        yield GateFinding(
            "incomplete-source",
            "the source was not read to its end; every file to its last byte is expected",
            "fetch it again",
            Span(case.snapshot.name),
        )


def check_emptied_file(case: GateInput) -> Iterator[GateFinding]:
    """A header without rows is no evidence that everything is gone, where the store holds such rows."""
    for kind in ROSTER_KINDS:
        live = case.live_counts.get(kind, 0)
        if case.snapshot.is_full(kind.plural) and not case.snapshot.rows.get(kind.plural, 0) and live:
            yield GateFinding(
                "emptied-file",
                f"{kind.plural}.csv has a header and no rows, but {live:,} {kind.plural} are live",
                "a file that was left empty by mistake looks just like this: export it again",
                Span(f"{kind.plural}.csv", 1),
            )


def check_other_source_system(case: GateInput) -> Iterator[GateFinding]:
    before = case.last_roster.facts.system if case.last_roster else None
    now = case.snapshot.facts.system
    if before and now and before != now:
        yield GateFinding(
            "other-source-system",
            f"the source system is {_replace_unprintable(now)}; the last good roster came from "
            f"{_replace_unprintable(before)}",
            "if the institution changed its system, allow this gate until a day; else it is another's file",
            Span("manifest.csv"),
        )


def check_row_count_drop(case: GateInput) -> Iterator[GateFinding]:
    for stem, always in ACCEPTABLE_ROW_DROP.items():
        before = case.last_roster.rows.get(stem, 0) if case.last_roster else 0
        now = case.snapshot.rows.get(stem, 0)
        fewer = before - now
        if case.snapshot.is_full(stem) and now and fewer > always and fewer * 100 > before * MAX_DROP_PERCENT:
            yield GateFinding(
                "row-count-drop",
                f"{stem}.csv has {now:,} rows, the last good roster had {before:,}: {fewer * 100 // before} % fewer; "
                f"at most {MAX_DROP_PERCENT} % fewer are expected",
                "export the whole roster again; if it is right, approve the hold or allow this gate until a day",
                Span(f"{stem}.csv"),
            )


def check_stale_source(case: GateInput) -> Iterator[GateFinding]:
    """By the archive's own times; by the newest dateLastModified only where these say nothing, since the newest row
    may be one that left."""
    last, now = case.last_roster, case.snapshot
    if last is None or last.sha256 == now.sha256:
        return
    for word, before, this in (
        ("was packed", last.facts.packed_at, now.facts.packed_at),
        ("was last modified", last.facts.modified_at, now.facts.modified_at),
    ):
        if before and this and before != this:
            if this < before:
                yield GateFinding(
                    "stale-source",
                    f"the source {word} at {this}, the last good roster at {before}; a newer one is expected",
                    "send the newest export; if this one is meant, approve the hold",
                    Span(now.name),
                    holds_everything=True,
                )
            return


def check_optional_file_missing(case: GateInput) -> Iterator[GateFinding]:
    if case.last_roster is None:
        return
    for stem in sorted(set(case.last_roster.facts.files) - set(case.snapshot.facts.files)):
        if case.snapshot.is_full(stem) and case.snapshot.facts.files:
            yield GateFinding(
                "optional-file-missing",
                f"{stem}.csv is not in the archive; it came along with the last good roster",
                "export it again, or allow this gate until a day",
                Span(f"{stem}.csv"),
                kinds=frozenset({Kind.CLASS, Kind.ENROLLMENT}) if stem in CLASS_RELATED_FILES else frozenset(),
            )


def check_org_vanished(case: GateInput) -> Iterator[GateFinding]:
    if not case.snapshot.is_full("orgs"):
        return
    live = case.live
    there = pl.concat([case.snapshot.orgs["sourced_id"], case.snapshot.quarantine["key"].drop_nulls()])
    missing = live.orgs.filter(~pl.col("tombstoned") & ~pl.col("sourced_id").is_in(there.implode()))
    if not missing.height:
        return
    alive = live.users.filter(~pl.col("tombstoned") & pl.col("sourced_id").is_not_null())
    people = live.roles.join(alive, left_on="account_id", right_on="id", how="semi")["org"]
    classes = live.classes.filter(~pl.col("tombstoned"))["school"].drop_nulls()
    used = missing.filter(pl.col("sourced_id").is_in(pl.concat([people, classes.alias("org")]).implode()))
    if used.height:
        names = used.sort("sourced_id")["sourced_id"].to_list()
        listed = ", ".join(names[:5]) + (f" and {len(names) - 5:,} more" if len(names) > 5 else "")
        yield GateFinding(
            "org-vanished",
            f"orgs.csv has no {listed}, to which people or classes belong; every such org is expected",
            "export all schools; if it was closed, approve the hold",
            Span("orgs.csv"),
            orgs=tuple(names),
        )


def check_root_changed(case: GateInput) -> Iterator[GateFinding]:
    before = case.last_roster.roots if case.last_roster else ()
    now = list_root_orgs(case.snapshot)
    if before and now and set(before).isdisjoint(now):
        yield GateFinding(
            "root-changed",
            f"above all others is {', '.join(now[:3])}; in the last good roster it was {', '.join(before[:3])}",
            "if the institution has a new number, change client_partner_id and approve the hold",
            Span("orgs.csv"),
        )


def list_root_orgs(snapshot: Snapshot) -> tuple[str, ...]:
    """sourcedIds of orgs without a parent, sorted."""
    return tuple(snapshot.orgs.filter(pl.col("parent").is_null())["sourced_id"].sort().to_list())


def check_many_unknown_roles(case: GateInput) -> Iterator[GateFinding]:
    aside = case.snapshot.quarantine.filter((pl.col("kind") == Kind.USER.value) & (pl.col("code") == "unknown-role"))
    rows = case.snapshot.rows.get("users", 0)
    if aside.height > max(ACCEPTABLE_UNKNOWN_ROLES, rows * MAX_UNKNOWN_ROLES_SHARE):
        yield GateFinding(
            "many-unknown-roles",
            f"{aside.height:,} of {rows:,} people have a role that is not OneRoster's; "
            f"at most {MAX_UNKNOWN_ROLES_SHARE:.0%} are expected",
            "the roles were probably exported by other names; correct the export",
            Span(aside["file"][0], aside["line"].min()),  # type: ignore[arg-type]
        )


def check_many_newly_disabled(case: GateInput) -> Iterator[GateFinding]:
    """One column that was exported wrongly locks everybody out."""
    disabled = case.snapshot.users.filter(~pl.col("enabled").fill_null(True))["sourced_id"]
    active = case.live.users.filter(~pl.col("tombstoned") & (pl.col("status") == AccountStatus.ACTIVE.value))
    bound = active["sourced_id"].drop_nulls()
    newly = bound.filter(bound.is_in(disabled.implode())).len()
    if newly > max(ACCEPTABLE_DISABLED, bound.len() * MAX_DROP_PERCENT // 100):
        yield GateFinding(
            "many-newly-disabled",
            f"{newly:,} of {bound.len():,} people who may sign in are not enabled in this roster; "
            f"at most {MAX_DROP_PERCENT} % are expected",
            "look at enabledUser in the export; if it is right, approve the hold or allow this gate until a day",
            Span("users.csv"),
            kinds=frozenset(),
            reasons=(Reason.ROSTER_DISABLED.value,),
        )


def check_many_dangling_references(case: GateInput) -> Iterator[GateFinding]:
    """The reader counts them."""
    for each in case.snapshot.diagnostics:
        if each.code == "many-dangling-references":
            yield GateFinding(each.code, each.message, each.hint or "", each.span)


def check_keys_damaged(case: GateInput) -> Iterator[GateFinding]:
    """Zeros at the beginning of numbers are lost where a spreadsheet was in between, and long numbers rounded."""
    people = case.snapshot.users
    if not people.height:
        return
    damaged = max(
        _count_stripped_zeros(case.live.users, people), *(_count_rounded_numbers(people, name) for name in KEY_COLUMNS)
    )
    if damaged > people.height * MAX_DAMAGED_KEYS_SHARE:
        yield GateFinding(
            "keys-damaged",
            f"{damaged:,} of {people.height:,} people have a sourcedId or identifier as a spreadsheet writes numbers; "
            f"at most {MAX_DAMAGED_KEYS_SHARE:.0%} are expected",
            "send the export as it was made, without opening it in a spreadsheet",
            Span("users.csv"),
            holds_everything=True,
        )


KEY_COLUMNS = ("sourced_id", "identifier")


def _count_stripped_zeros(live: pl.DataFrame, people: pl.DataFrame) -> int:
    """How many live keys that begin with 0 the file has without their zeros, and not as they are."""
    most = 0
    for name in KEY_COLUMNS:
        known = live.filter(~pl.col("tombstoned") & pl.col(name).str.starts_with("0"))[name]
        if known.len():
            gone = known.filter(~known.is_in(people[name].drop_nulls().implode()))
            bare = gone.str.strip_chars_start("0")
            most = max(most, int(bare.is_in(people[name].drop_nulls().implode()).sum()))
    return most


def _count_rounded_numbers(people: pl.DataFrame, name: str) -> int:
    return int(people[name].str.contains(SPREADSHEET_NUMBER).sum())


RULES: tuple[GateRule, ...] = (
    check_incomplete_source,
    check_emptied_file,
    check_other_source_system,
    check_row_count_drop,
    check_stale_source,
    check_optional_file_missing,
    check_org_vanished,
    check_root_changed,
    check_many_unknown_roles,
    check_many_newly_disabled,
    check_many_dangling_references,
    check_keys_damaged,
)


def _replace_unprintable(value: str) -> str:
    return "".join(character if character.isprintable() else "?" for character in value[:40])
