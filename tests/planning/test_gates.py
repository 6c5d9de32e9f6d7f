from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from reconciler.model.gate import GATES, GateOutcome
from reconciler.model.ids import CustomerId
from reconciler.model.kind import ROSTER_KINDS, Kind
from reconciler.oneroster.snapshot import Snapshot, SourceFacts
from reconciler.planning.frames.live import LiveRoster
from reconciler.planning.holds import OtherCustomer, find_new_people
from reconciler.planning.holds.gates import (
    RULES,
    ExceptionToGate,
    GateInput,
    GateResult,
    LastRoster,
    check_gates,
    list_root_orgs,
)
from reconciler.reports.plan.gate_page import render_gates_page
from tests.support.rosters.snapshots import decide, district, live_of, person

TODAY = "2026-11-23"
EVERYBODY = [person(each, "s-1" if each < 30 else "s-2") for each in range(60)]
DAY_ONE = district(EVERYBODY)
FACTS = SourceFacts(
    ("classes", "enrollments", "orgs", "users"), "sis-1", "2026-11-20T01:00:00.000Z", "2026-11-20T02:00:00"
)


def last_of(snapshot: Snapshot) -> LastRoster:
    return LastRoster("1" * 64, "2026-11-20T02:30:00Z", dict(snapshot.rows), FACTS, list_root_orgs(snapshot))


def judged(
    snapshot: Snapshot, *allowances: ExceptionToGate, live: LiveRoster | None = None, last: bool = True
) -> GateResult:
    known = live_of(DAY_ONE) if live is None else live
    alive = {kind: known.get_frame(kind).filter(~pl.col("tombstoned")).height for kind in ROSTER_KINDS}
    snapshot = snapshot if snapshot.facts.files else replace(snapshot, facts=FACTS)
    return check_gates(GateInput(snapshot, last_of(DAY_ONE) if last else None, known, alive), allowances, TODAY)


def codes(judgment: GateResult) -> list[str]:
    return [each.code for each in (*judgment.refusals, *judgment.diagnostics)]


def fewer_people() -> Snapshot:
    return district(EVERYBODY[:40])


def with_aside(number: int, code: str) -> Snapshot:
    snapshot = district(EVERYBODY, aside=[("user", f"x-{each}") for each in range(number)])
    return replace(snapshot, quarantine=snapshot.quarantine.with_columns(pl.lit(code).alias("code")))


def with_facts(**facts: object) -> Snapshot:
    return replace(DAY_ONE, facts=replace(FACTS, **facts))


def without_school() -> Snapshot:
    return replace(DAY_ONE, orgs=DAY_ONE.orgs.filter(pl.col("sourced_id") != "s-2"))


def spreadsheet() -> Snapshot:
    return replace(DAY_ONE, users=DAY_ONE.users.with_columns(pl.lit("1.23E+11").alias("identifier")))


def emptied() -> Snapshot:
    return replace(DAY_ONE, classes=DAY_ONE.classes.clear(), rows={**DAY_ONE.rows, "classes": 0})


def other_root() -> Snapshot:
    renamed = pl.col("sourced_id").replace({"d-1": "d-2"}).alias("sourced_id")
    return replace(DAY_ONE, orgs=DAY_ONE.orgs.with_columns(renamed))


#: code -> a snapshot to which exactly this gate objects
BENT = {
    "incomplete-source": replace(DAY_ONE, complete=False),
    "emptied-file": emptied(),
    "other-source-system": with_facts(system="sis-2"),
    "row-count-drop": fewer_people(),
    "stale-source": with_facts(packed_at="2026-11-13T02:00:00"),
    "optional-file-missing": with_facts(files=("classes", "enrollments", "users")),
    "org-vanished": without_school(),
    "most-rows-quarantined": with_aside(61, "missing-value"),
    "many-quarantined-rows": with_aside(7, "missing-value"),
    "many-unknown-roles": with_aside(6, "unknown-role"),
    "many-newly-disabled": replace(DAY_ONE, users=DAY_ONE.users.with_columns(pl.lit(False).alias("enabled"))),
    "keys-damaged": spreadsheet(),
}


def test_a_good_roster_passes_every_gate() -> None:
    assert judged(DAY_ONE) == GateResult((), (), ())
    assert judged(DAY_ONE, last=False) == GateResult((), (), ())


@pytest.mark.parametrize("code", BENT)
def test_each_gate_checks_and_acts_as_its_line_says(code: str) -> None:
    judgment = judged(BENT[code])
    assert codes(judgment) == [code] or codes(judgment) == [code] * len(codes(judgment))
    if GATES[code].outcome is GateOutcome.REFUSED:
        assert judgment.refusals
        assert not judgment.findings
        assert all(each.is_error for each in judgment.refusals)
    else:
        assert not judgment.refusals
        assert {each.code for each in judgment.findings} == {code}
        assert {each.sentence for each in judgment.findings} == {GATES[code].sentence}
    for each in (*judgment.refusals, *judgment.diagnostics):
        assert each.hint


def test_the_institution_above_all_others_may_not_change_unseen() -> None:
    assert "root-changed" in codes(judged(other_root()))


@pytest.mark.parametrize(
    ("theirs", "is_copy", "held"), [(60, False, True), (4, False, True), (3, False, False), (0, True, True)]
)
def test_196_new_people_of_another_customer_are_held(theirs: int, is_copy: bool, held: bool) -> None:
    other = OtherCustomer(CustomerId("shelbyville"), "client_partner_id", DAY_ONE.users[:theirs], is_copy)
    across = replace(find_new_people(DAY_ONE.users, LiveRoster().users), others=(other,))
    found = check_gates(GateInput(DAY_ONE, None, LiveRoster(), {}, across=across)).findings
    assert [each.code for each in found] == ["people-of-another-customer"] * held
    assert all(each.holds_everything and "shelbyville" in each.message for each in found)


@pytest.mark.parametrize(("surname", "held"), [("Other", False), (" MU\u0308LLER", True)])
def test_196_same_sourced_ids_with_other_names_are_other_people(surname: str, held: bool) -> None:
    mine = DAY_ONE.users.with_columns(family_name=pl.lit("M\u00fcller"))
    theirs = mine.with_columns(family_name=pl.lit(surname))
    other = OtherCustomer(CustomerId("shelbyville"), "client_partner_id", theirs)
    across = replace(find_new_people(mine, LiveRoster().users), others=(other,))
    assert bool(check_gates(GateInput(DAY_ONE, None, LiveRoster(), {}, across=across)).findings) is held


def test_196_people_whom_the_customer_has_already_are_not_held() -> None:
    other = OtherCustomer(CustomerId("shelbyville"), "client_partner_id", DAY_ONE.users)
    live = live_of(DAY_ONE)
    across = replace(find_new_people(DAY_ONE.users, live.users), others=(other,))
    assert not across.needs_others
    assert not check_gates(GateInput(DAY_ONE, None, live, {Kind.USER: 60}, across=across)).findings


def test_every_rule_has_its_line_in_the_table() -> None:
    assert {rule.__name__.removeprefix("check_").replace("_", "-") for rule in RULES} == {
        "emptied-file",
        "incomplete-source",
        "keys-damaged",
        "many-dangling-references",
        "many-newly-disabled",
        "many-quarantined-rows",
        "most-rows-quarantined",
        "many-unknown-roles",
        "optional-file-missing",
        "org-vanished",
        "other-source-system",
        "people-of-another-customer",
        "root-changed",
        "row-count-drop",
        "stale-source",
    }
    assert {rule.__name__.removeprefix("check_").replace("_", "-") for rule in RULES} <= set(GATES)


def test_every_gate_that_holds_has_a_rule() -> None:
    ruled = {rule.__name__.removeprefix("check_").replace("_", "-") for rule in RULES}
    assert {code for code, gate in GATES.items() if gate.outcome is GateOutcome.HELD} <= ruled


@pytest.mark.parametrize("code", [code for code in BENT if GATES[code].can_be_allowed])
def test_an_allowance_lets_a_gate_pass_and_is_told(code: str) -> None:
    judgment = judged(BENT[code], ExceptionToGate(code, TODAY, "as agreed"))
    assert (judgment.refusals, judgment.findings) == ((), ())
    assert set(codes(judgment)) == {"gate-allowed"}
    assert "as agreed" in judgment.diagnostics[0].message


@pytest.mark.parametrize("code", [code for code in BENT if GATES[code].can_be_allowed])
def test_an_allowance_that_ended_lets_nothing_pass(code: str) -> None:
    judgment = judged(BENT[code], ExceptionToGate(code, "2026-11-22", "as agreed"))
    assert judgment.refusals or judgment.findings
    assert "allowance-expired" in codes(judgment)


def test_what_no_gate_needs_is_told() -> None:
    assert codes(judged(DAY_ONE, ExceptionToGate("row-count-drop", TODAY, "two schools moved away"))) == [
        "allowance-unused"
    ]


def test_incompletely_read_source_cannot_be_allowed() -> None:
    judgment = judged(BENT["incomplete-source"], ExceptionToGate("incomplete-source", TODAY, "no"))
    assert [each.code for each in judgment.refusals] == ["incomplete-source"]


def test_fewer_rows_than_a_fifth_pass() -> None:
    assert codes(judged(district(EVERYBODY[:50]))) == []


def test_a_file_of_changes_is_not_counted() -> None:
    snapshot = replace(fewer_people(), modes=dict.fromkeys(("orgs", "users", "classes", "enrollments"), "delta"))
    assert codes(judged(snapshot)) == []


def test_the_same_file_again_is_not_stale() -> None:
    again = replace(with_facts(packed_at="2026-11-13T02:00:00"), sha256="1" * 64)
    assert codes(judged(again)) == []


def test_zeros_that_a_spreadsheet_lost_are_seen() -> None:
    zeros = [{**person(each), "identifier": f"00{each:03d}"} for each in range(20)]
    live = live_of(district(zeros))
    bare = district([{**each, "identifier": str(each["identifier"]).lstrip("0") or "0"} for each in zeros])
    case = GateInput(replace(bare, facts=FACTS), None, live, {})
    assert [each.code for each in check_gates(case, (), TODAY).findings] == ["keys-damaged"]


def test_a_gate_that_holds_still_lists_and_counts() -> None:
    judgment = judged(fewer_people())
    decision = decide(fewer_people(), live_of(DAY_ONE), findings=judgment.findings)
    people = decision.changes[Kind.USER]
    assert people["action"].unique().to_list() == ["delete"]
    assert people["held"].all()
    assert people.height == 20
    assert GATES["row-count-drop"].sentence in decision.causes
    assert decision.causes.count(GATES["row-count-drop"].sentence) == 1, "of whatever many files"


def test_a_gate_with_nothing_to_hold_holds_nothing() -> None:
    judgment = judged(with_facts(packed_at="2026-11-13T02:00:00"))
    decision = decide(DAY_ONE, live_of(DAY_ONE), findings=judgment.findings)
    assert decision.changes == {}
    assert decision.causes == ()


def test_an_old_file_brings_nothing_back() -> None:
    """Not losses alone: an older file also reverts names, and makes people who have left."""
    judgment = judged(with_facts(packed_at="2026-11-13T02:00:00"))
    decision = decide(district([*EVERYBODY, person(99)]), live_of(DAY_ONE), findings=judgment.findings)
    assert all(frame["held"].all() for frame in decision.changes.values())


def test_the_page_of_gates_is_current() -> None:
    committed = Path(__file__).parents[2].joinpath("docs", "reference", "gates.md").read_text(encoding="utf-8")
    assert committed == render_gates_page(), (
        "write it anew: docs/reference/gates.md is what reconciler.reports.plan.gate_page.page() gives"
    )
