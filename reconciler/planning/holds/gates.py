"""Checks a snapshot with the gates that it must pass before missing rows count as removed.

Each gate is one small rule in the table RULES; its outcome and its sentence for people are in `model.gate`. Gates of
the reader (a truncated archive, a file without its header) refuse before there is a snapshot.
"""

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
from reconciler.planning.holds.shared_people import PeopleAcrossCustomers

#: The most that a file may be shorter than in the last good roster, in percent.
MAX_DROP_PERCENT = 20
#: A drop of this many rows always passes, by file.
ACCEPTABLE_ROW_DROP = {"orgs": 1, "users": 5, "classes": 5, "enrollments": 20}
#: The largest share of rows with an unknown role; a larger one is not explained by typing errors.
MAX_UNKNOWN_ROLES_SHARE = 0.02
ACCEPTABLE_UNKNOWN_ROLES = 5
#: The largest share of quarantined rows of a file that passes, and the largest that only holds losses.
MAX_QUARANTINED_SHARE = 0.1
MAX_USABLE_QUARANTINED_SHARE = 0.5
ACCEPTABLE_QUARANTINED = 5
ACCEPTABLE_DISABLED = 5
#: The largest share of keys that a spreadsheet may have changed.
MAX_DAMAGED_KEYS_SHARE = 0.05
#: Files without which it is unknown whether the terms of classes have ended.
CLASS_RELATED_FILES = frozenset({"academicSessions"})

SPREADSHEET_NUMBER = r"^\d(?:[.,]\d+)?E\+\d+$"


@dataclass(frozen=True, slots=True)
class LastRoster:
    """The saved facts of the last good roster."""

    sha256: str
    fetched_at: Moment
    #: the number of rows by file stem
    rows: Mapping[str, int]
    facts: SourceFacts = field(default_factory=SourceFacts)
    #: sourcedIds of top-level orgs
    roots: tuple[str, ...] = ()
    #: None if it was not saved
    match_with: str | None = None


@dataclass(frozen=True, slots=True)
class ExceptionToGate:
    """One entry of `allow` in a customer's file: a gate that does not hold or refuse."""

    gate: str
    #: the last date, YYYY-MM-DD
    until: str
    reason: str
    span: Span | None = None


@dataclass(frozen=True, slots=True)
class GateFinding:
    """A gate's objection to a snapshot, and the changes that it holds."""

    code: str
    message: str
    hint: str
    span: Span | None = None
    #: kinds whose losses are held
    kinds: frozenset[Kind] = frozenset(ROSTER_KINDS)
    #: only losses of these orgs are held; None for all
    orgs: tuple[str, ...] | None = None
    #: the whole file is in doubt, so every change is held
    holds_everything: bool = False
    #: changes of people for these reasons are held as well
    reasons: tuple[str, ...] = ()

    @property
    def sentence(self) -> str:
        """The gate's sentence for school administrators."""
        return GATES[self.code].sentence


@dataclass(frozen=True, slots=True)
class GateResult:
    """The outcome of all gates."""

    #: errors; if there are any, the snapshot must not be compared
    refusals: tuple[Diagnostic, ...]
    #: of gates that hold
    findings: tuple[GateFinding, ...]
    diagnostics: tuple[Diagnostic, ...]


@dataclass(frozen=True, slots=True)
class GateInput:
    """The input of every gate."""

    snapshot: Snapshot
    last_roster: LastRoster | None
    live: LiveRoster
    #: the number of the customer's active rows
    live_counts: Mapping[Kind, int]
    #: the number of people whose username another row of the file has, which are quarantined too
    clashing_people: int = 0
    across: PeopleAcrossCustomers = field(default_factory=PeopleAcrossCustomers)


GateRule = Callable[[GateInput], Iterable[GateFinding]]


def check_gates(gate_input: GateInput, exceptions: Sequence[ExceptionToGate] = (), today: str = "") -> GateResult:
    """Check every gate, in the order of RULES. `today` (YYYY-MM-DD) decides which exceptions have expired."""
    findings = [finding for rule in RULES for finding in rule(gate_input)]
    valid = {each.gate: each for each in exceptions if each.until >= today}
    refusals, holding, diagnostics = [], [], []
    for finding in findings:
        gate = GATES[finding.code]
        exception = valid.get(finding.code) if gate.can_be_allowed else None
        if exception is not None:
            diagnostics.append(_report_exception(finding, exception))
        elif gate.outcome is GateOutcome.REFUSED:
            refusals.append(_build_diagnostic(finding, Severity.ERROR))
        else:
            holding.append(finding)
            diagnostics.append(_build_diagnostic(finding, Severity.WARNING))
    diagnostics += _report_stale_exceptions(exceptions, valid, {finding.code for finding in findings}, today)
    return GateResult(tuple(refusals), tuple(holding), tuple(diagnostics))


def _build_diagnostic(finding: GateFinding, severity: Severity) -> Diagnostic:
    return Diagnostic(finding.code, severity, finding.message, finding.span, finding.hint)


def _report_exception(finding: GateFinding, exception: ExceptionToGate) -> Diagnostic:
    return build_info(
        "gate-allowed",
        f"an exception for {finding.code} until {exception.until} ({exception.reason}) applies: {finding.message}",
        exception.span,
    )


def _report_stale_exceptions(
    exceptions: Iterable[ExceptionToGate], valid: Mapping[str, ExceptionToGate], codes: set[str], today: str
) -> Iterator[Diagnostic]:
    for each in exceptions:
        if each.until < today:
            yield build_warning(
                "allowance-expired",
                f"the exception for {each.gate} expired on {each.until} ({each.reason})",
                each.span,
                "Remove it, or set a later `until`.",
            )
        elif each.gate not in codes and valid[each.gate] is each:
            yield build_warning(
                "allowance-unused",
                f"the exception for {each.gate} until {each.until} was not needed for this roster ({each.reason})",
                each.span,
                "Remove it when you can. Until then, this gate never asks for approval.",
            )


def check_incomplete_source(case: GateInput) -> Iterator[GateFinding]:
    if not case.snapshot.complete:
        yield GateFinding(
            "incomplete-source",
            "the roster did not arrive complete",
            "Fetch it again.",
            Span(case.snapshot.name),
        )


def check_emptied_file(case: GateInput) -> Iterator[GateFinding]:
    """Object to a file with a header and no rows if the store has such rows: it does not prove that all are gone."""
    for kind in ROSTER_KINDS:
        live = case.live_counts.get(kind, 0)
        if case.snapshot.is_full(kind.plural) and not case.snapshot.rows.get(kind.plural, 0) and live:
            yield GateFinding(
                "emptied-file",
                f"{kind.plural}.csv has no rows, but the store has {live:,} active {kind.plural}",
                "The file was probably left empty by mistake. Export it again.",
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
            "If the institution changed systems, add an exception for this gate. Otherwise this is another "
            "institution's file.",
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
                f"{stem}.csv has {now:,} rows, {fewer * 100 // before}% fewer than the last good roster "
                f"({before:,}); the limit is {MAX_DROP_PERCENT}%",
                "Export the full roster again. If the drop is correct, approve the hold or add an exception for this "
                "gate.",
                Span(f"{stem}.csv"),
            )


def check_stale_source(case: GateInput) -> Iterator[GateFinding]:
    """Object to a source that is older than the last one by the archive's own times, or by the newest dateLastModified
    if there are none; the newest row may be one that left since."""
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
                    f"this roster {word} at {this}, before the last good roster ({before})",
                    "Send the latest export. To use this one anyway, approve the hold.",
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
                f"{stem}.csv is not in the archive, but the last good roster had it",
                "Export the roster again with this file, or add an exception for this gate.",
                Span(f"{stem}.csv"),
                kinds=frozenset({Kind.CLASS, Kind.ENROLLMENT}) if stem in CLASS_RELATED_FILES else frozenset(),
            )


def check_org_vanished(case: GateInput) -> Iterator[GateFinding]:
    if not case.snapshot.is_full("orgs"):
        return
    live = case.live
    present = pl.concat([case.snapshot.orgs["sourced_id"], case.snapshot.quarantine["key"].drop_nulls()])
    missing = live.orgs.filter(~pl.col("tombstoned") & ~pl.col("sourced_id").is_in(present.implode()))
    if not missing.height:
        return
    active = live.users.filter(~pl.col("tombstoned") & pl.col("sourced_id").is_not_null())
    people = live.roles.join(active, left_on="account_id", right_on="id", how="semi")["org"]
    classes = live.classes.filter(~pl.col("tombstoned"))["school"].drop_nulls()
    used = missing.filter(pl.col("sourced_id").is_in(pl.concat([people, classes.alias("org")]).implode()))
    if used.height:
        names = used.sort("sourced_id")["sourced_id"].to_list()
        listed = ", ".join(names[:5]) + (f" and {len(names) - 5:,} more" if len(names) > 5 else "")
        yield GateFinding(
            "org-vanished",
            f"orgs.csv no longer has {listed}, but people or classes belong to {'it' if len(names) == 1 else 'them'}",
            "Export all schools. If the school closed, approve the hold.",
            Span("orgs.csv"),
            orgs=tuple(names),
        )


def check_root_changed(case: GateInput) -> Iterator[GateFinding]:
    before = case.last_roster.roots if case.last_roster else ()
    now = list_root_orgs(case.snapshot)
    if before and now and set(before).isdisjoint(now):
        yield GateFinding(
            "root-changed",
            f"the top-level org is {', '.join(now[:3])}; in the last good roster it was {', '.join(before[:3])}",
            "If the institution has a new sourcedId, change client_partner_id and approve the hold.",
            Span("orgs.csv"),
        )


def list_root_orgs(snapshot: Snapshot) -> tuple[str, ...]:
    """Return the sourcedIds of orgs without a parent, sorted."""
    return tuple(snapshot.orgs.filter(pl.col("parent").is_null())["sourced_id"].sort().to_list())


def check_many_unknown_roles(case: GateInput) -> Iterator[GateFinding]:
    unknown = case.snapshot.quarantine.filter((pl.col("kind") == Kind.USER.value) & (pl.col("code") == "unknown-role"))
    # In 1.2 a person may have several rows in roles.csv.
    number = unknown["key"].drop_nulls().n_unique() + unknown["key"].null_count()
    rows = case.snapshot.rows.get("users", 0)
    if number > max(ACCEPTABLE_UNKNOWN_ROLES, rows * MAX_UNKNOWN_ROLES_SHARE):
        yield GateFinding(
            "many-unknown-roles",
            f"{number:,} of {rows:,} people have a role that OneRoster does not define; "
            f"the limit is {MAX_UNKNOWN_ROLES_SHARE:.0%}",
            "The export probably uses other names for the roles. Correct the export.",
            Span(unknown["file"][0], unknown["line"].min()),  # type: ignore[arg-type]
        )


def check_most_rows_quarantined(case: GateInput) -> Iterator[GateFinding]:
    """Object to files of which most rows are quarantined: they show neither who left nor who is there."""
    return (each for each in _find_quarantined_files(case) if each.code == "most-rows-quarantined")


def check_many_quarantined_rows(case: GateInput) -> Iterator[GateFinding]:
    """Object to files of which many rows are quarantined, but fewer than half."""
    return (each for each in _find_quarantined_files(case) if each.code == "many-quarantined-rows")


def _find_quarantined_files(case: GateInput) -> Iterator[GateFinding]:
    """Yield the findings in the order of the files' references, so that a cause comes before its consequences."""
    for kind in ROSTER_KINDS:
        rows = case.snapshot.quarantine.filter(pl.col("kind") == kind.value)
        clashing = case.clashing_people if kind is Kind.USER else 0
        number = rows["key"].n_unique() if rows["key"].null_count() == 0 else rows.height
        good = case.snapshot.get_rows(kind).height - clashing
        number, total = number + clashing, good + number + clashing
        is_beyond_use = number > 0 and good == 0 and (kind is Kind.USER or number > 1)
        if not is_beyond_use and number <= max(ACCEPTABLE_QUARANTINED, total * MAX_QUARANTINED_SHARE):
            continue
        is_beyond_use = is_beyond_use or number > total * MAX_USABLE_QUARANTINED_SHARE
        most = MAX_USABLE_QUARANTINED_SHARE if is_beyond_use else MAX_QUARANTINED_SHARE
        yield GateFinding(
            "most-rows-quarantined" if is_beyond_use else "many-quarantined-rows",
            f"{number:,} of {total:,} rows of {kind.plural}.csv are quarantined{_describe_fault(rows, clashing)}; "
            f"at most {most:.0%} are expected",
            "correct the export, and send the whole roster again",
            Span(f"{kind.plural}.csv"),
        )


def describe_quarantined_rows(snapshot: Snapshot) -> tuple[Diagnostic, ...]:
    """Return the objections to the number of quarantined rows, for a roster that is compared with nothing."""
    found = _find_quarantined_files(GateInput(snapshot, None, LiveRoster(), {}))
    refused = GateOutcome.REFUSED
    return tuple(
        _build_diagnostic(each, Severity.ERROR if GATES[each.code].outcome is refused else Severity.WARNING)
        for each in found
    )


def _describe_fault(rows: pl.DataFrame, clashing: int) -> str:
    """Return the most common fault of quarantined rows; a message with a quoted value differs from row to row, and may
    name a person, so its code stands for it."""
    if clashing > rows.height:
        return ", mostly for usernames that other rows have too"
    quoted = pl.col("message").str.contains('"', literal=True)
    what = pl.when(quoted).then(pl.col("code").str.replace_all("-", " ", literal=True)).otherwise("message")
    faults = rows.group_by(what.alias("what")).agg(pl.len().alias("rows"), pl.col("line").min(), pl.col("file").min())
    fault = faults.sort("rows", "what", descending=[True, False]).row(0, named=True)
    return f", mostly for this: {fault['what']} ({fault['file']}, first line {fault['line']:,})"


def check_many_newly_disabled(case: GateInput) -> Iterator[GateFinding]:
    """Object to many newly disabled people: one wrongly exported column would lock everybody out."""
    disabled = case.snapshot.users.filter(~pl.col("enabled").fill_null(True))["sourced_id"]
    active = case.live.users.filter(~pl.col("tombstoned") & (pl.col("status") == AccountStatus.ACTIVE.value))
    bound = active["sourced_id"].drop_nulls()
    newly = bound.filter(bound.is_in(disabled.implode())).len()
    if newly > max(ACCEPTABLE_DISABLED, bound.len() * MAX_DROP_PERCENT // 100):
        yield GateFinding(
            "many-newly-disabled",
            f"this roster disables {newly:,} of {bound.len():,} people who can sign in now; "
            f"the limit is {MAX_DROP_PERCENT}%",
            "Check enabledUser in the export. If it is correct, approve the hold or add an exception for this gate.",
            Span("users.csv"),
            kinds=frozenset(),
            reasons=(Reason.ROSTER_DISABLED.value,),
        )


def check_people_of_another_customer(case: GateInput) -> Iterator[GateFinding]:
    """Object to people who would be new here and are another customer's: they would get a second account."""
    across = case.across
    for other in across.others:
        number = across.count_shared(other)
        gets_same = other.gets_same_people and not case.live_counts.get(Kind.USER, 0) and not across.new.is_empty()
        if across.exceeds_limit(number) or gets_same:
            what = (
                f"{number:,} of {across.total:,} people are already people of" if number else "would have the people of"
            )
            yield GateFinding(
                "people-of-another-customer",
                f"{what} {other.id}, which has the same {other.shared}",
                "Correct the copied settings, or divide the roster with rostering.select. If people belong to both, "
                "approve the hold or add an exception for this gate.",
                holds_everything=True,
            )


def check_many_dangling_references(case: GateInput) -> Iterator[GateFinding]:
    """Object to many references to missing rows, which the reader counts."""
    for each in case.snapshot.diagnostics:
        if each.code == "many-dangling-references":
            yield GateFinding(each.code, each.message, each.hint or "", each.span)


def check_keys_damaged(case: GateInput) -> Iterator[GateFinding]:
    """Object to keys that a spreadsheet has changed: it drops leading zeros and rounds long numbers."""
    people = case.snapshot.users
    if not people.height:
        return
    damaged = max(
        _count_stripped_zeros(case.live.users, people), *(_count_rounded_numbers(people, name) for name in KEY_COLUMNS)
    )
    if damaged > people.height * MAX_DAMAGED_KEYS_SHARE:
        yield GateFinding(
            "keys-damaged",
            f"{damaged:,} of {people.height:,} people have a sourcedId or identifier that a spreadsheet seems to have "
            f"changed; the limit is {MAX_DAMAGED_KEYS_SHARE:.0%}",
            "Send the original export, without opening it in a spreadsheet.",
            Span("users.csv"),
            holds_everything=True,
        )


KEY_COLUMNS = ("sourced_id", "identifier")


def _count_stripped_zeros(live: pl.DataFrame, people: pl.DataFrame) -> int:
    """Count the active keys that begin with 0 and that the file has only without their zeros."""
    most = 0
    for name in KEY_COLUMNS:
        known = live.filter(~pl.col("tombstoned") & pl.col(name).str.starts_with("0"))[name]
        if known.len():
            values = people[name].drop_nulls().implode()
            stripped = known.filter(~known.is_in(values)).str.strip_chars_start("0")
            most = max(most, int(stripped.is_in(values).sum()))
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
    check_people_of_another_customer,
    check_most_rows_quarantined,
    check_many_quarantined_rows,
    check_many_unknown_roles,
    check_many_newly_disabled,
    check_many_dangling_references,
    check_keys_damaged,
)


def _replace_unprintable(value: str) -> str:
    return "".join(character if character.isprintable() else "?" for character in value[:40])
