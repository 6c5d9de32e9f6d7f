"""Text that looks the same is the same person's, however it is encoded."""

from __future__ import annotations

import unicodedata
from dataclasses import replace
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.model.kind import Kind
from reconciler.planning.decision.inputs import RosterRules
from reconciler.planning.roster.spelling import spell_as_stored
from tests.support.rosters.snapshots import actions, decide, district, live_of, person

RULES = {key: RosterRules(key) for key in ("identifier", "email", "username")}
#: pairs that look the same
PAIRS = {
    "composed": ("jos\u00e9", "jose\u0301"),
    "full width": ("ann7", "\uff41\uff4e\uff4e\uff17"),
    "zero width": ("annlee", "ann\u200blee"),
    "no-break space": ("ann lee", "ann\u00a0lee"),
    "narrow space": ("ann lee", "ann\u202flee"),
    "ideographic space": ("ann lee", "ann\u3000lee"),
    "soft hyphen": ("annlee", "ann\u00adlee"),
    "mark of direction": ("annlee", "\u200eann\u202alee"),
    "variation selector": ("annlee", "ann\ufe0flee"),
    "byte order mark": ("annlee", "ann\ufefflee"),
    "ligature": ("office", "o\ufb03ce"),
}


def people(number: int = 40) -> list[dict[str, Any]]:
    return [person(each) for each in range(number)]


@pytest.mark.parametrize("match_with", ["identifier", "email", "username"])
@pytest.mark.parametrize(("known", "written"), PAIRS.values(), ids=PAIRS)
def test_173_a_value_that_looks_the_same_keeps_the_account(match_with: str, known: str, written: str) -> None:
    before, after = people(), people()
    before[5][match_with] = known
    after[5] |= {"sourced_id": "new-5", match_with: written}
    decision = decide(district(after), live_of(district(before)), RULES[match_with])
    assert actions(decision, Kind.USER) == {"rekey": ["new-5"]}


@pytest.mark.parametrize(("one", "other"), PAIRS.values(), ids=PAIRS)
def test_173_two_rows_with_usernames_that_look_the_same_are_quarantined(one: str, other: str) -> None:
    everybody = people()
    everybody[3]["username"], everybody[4]["username"] = one, other.upper()
    decision = decide(district(everybody), live_of(district(people())))
    assert Kind.USER not in decision.changes
    assert decision.quarantine.filter(pl.col("code") == "duplicate-username")["key"].to_list() == ["u-003", "u-004"]


def test_173_the_username_of_an_account_that_stays_cannot_be_imitated() -> None:
    before = people()
    before[3]["username"] = "jos\u00e9"
    claim = person(300, username="JOSE\u0301")
    decision = decide(district([*before[:3], *before[4:], claim], aside=[("user", "u-003")]), live_of(district(before)))
    assert "create" not in actions(decision, Kind.USER)
    assert decision.quarantine.filter(pl.col("code") == "username-taken")["key"].to_list() == ["u-300"]


def test_173_an_email_of_two_people_in_two_forms_matches_nobody() -> None:
    before, after = people(), people()
    before[5]["email"] = "jos\u00e9@d.example"
    after[5]["email"] = "jos\u00e9@d.example"
    claim = person(300, email="jose\u0301@d.example")
    decision = decide(district([*after, claim]), live_of(district(before)), RULES["email"])
    assert Kind.USER not in decision.changes
    assert set(decision.quarantine["code"]) == {"identity-conflict", "refers-to-row-set-aside"}


def test_173_rows_of_one_person_in_two_forms_are_combined() -> None:
    everybody = people()
    one = person(300, identifier="x1", given_name="Jos\u00e9", family_name="Del\u00a0R\u00edo", username="jose")
    other = {**one, "sourced_id": "u-301", "identifier": "\uff58\uff11", "given_name": "Jose\u0301"}
    other |= {"family_name": "Del Ri\u0301o", "username": "jose2"}
    decision = decide(district([*everybody, one, other]), live_of(district(everybody)))
    assert actions(decision, Kind.USER) == {"create": ["u-300"]}


@pytest.mark.parametrize(("known", "written"), PAIRS.values(), ids=PAIRS)
def test_173_a_joiner_with_a_leavers_identifier_is_held_with_the_leaver(known: str, written: str) -> None:
    before, after = people(), people()
    before[5]["identifier"] = known
    after[5] |= {"sourced_id": "new-5", "email": "other@d.example", "identifier": written}
    decision = decide(district(after), live_of(district(before)), RULES["email"])
    assert actions(decision, Kind.USER) == {"delete": ["u-005*"], "create": ["new-5*"]}


def test_173_another_form_of_an_identifier_is_not_another_person() -> None:
    before, after = people(), people()
    before[5] |= {"identifier": "jos\u00e9", "given_name": "Ann", "family_name": "Bee"}
    after[5] |= {"identifier": "jose\u0301\u200b", "given_name": "Joe", "family_name": "Cee"}
    assert actions(decide(district(after), live_of(district(before))), Kind.USER) == {"update": ["u-005"]}


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_174_another_unicode_form_alone_is_no_change(form: Any) -> None:
    def written(form: Any) -> list[dict[str, Any]]:
        everybody = people()
        everybody[5] |= {"given_name": unicodedata.normalize(form, "Zo\u00eb"), "family_name": "N\u0169"}
        return everybody

    live = live_of(district(written("NFC")))
    assert actions(decide(district(written(form)), live), Kind.USER) == {}
    changed = written(form)
    changed[5]["grades"] = "09"
    (row,) = decide(district(changed), live).changes[Kind.USER].iter_rows(named=True)
    differing = [name for name in row if f"before_{name}" in row and row[name] != row[f"before_{name}"]]
    assert (row["action"], differing) == ("update", ["grades"])


def test_174_other_characters_that_nobody_sees_are_a_change() -> None:
    after = people()
    after[5]["given_name"] = "Gi\u200bven"
    assert actions(decide(district(after), live_of(district(people()))), Kind.USER) == {"update": ["u-005"]}


def renamed() -> tuple[Any, Any]:
    """A district with ids in one form, and the store that has them in the other."""

    def made(place: int) -> Any:
        ids = {name: pair[place] for name, pair in SPELLINGS.items()}
        everybody = [person(each, school=ids["school"]) for each in range(30)]
        everybody[5]["sourced_id"] = ids["person"]
        return district(everybody, schools=[ids["school"], "s-2"], classes=[ids["class"], "c-2"])

    return made(0), live_of(made(1))


SPELLINGS = {
    "person": ("ren\u00e9e-1", "rene\u0301e-1"),
    "school": ("\u00e9cole", "e\u0301cole"),
    "class": ("c\u00a01", "c 1"),
}


def test_176_sourced_ids_in_another_form_are_the_stores() -> None:
    snapshot, live = renamed()
    spelled = spell_as_stored(snapshot, live)
    decision = decide(spelled.snapshot, live)
    assert (actions(decision, Kind.ORG), actions(decision, Kind.USER)) == ({}, {})
    # In this district, titles of classes and ids of enrollments contain the ids of classes.
    assert actions(decision, Kind.CLASS) == {"update": ["c 1"]}
    assert set(actions(decision, Kind.ENROLLMENT)) == {"rekey"}
    assert decision.quarantine.height == 0
    assert [(each.code, each.span.file if each.span else "") for each in spelled.diagnostics] == [
        ("other-code-points", "orgs.csv"),
        ("other-code-points", "users.csv"),
        ("other-code-points", "classes.csv"),
    ]


def test_176_a_quarantined_row_protects_the_record_that_it_looks_like() -> None:
    snapshot, live = renamed()
    rows = pl.DataFrame(
        {"kind": ["user"], "key": ["ren\u00e9e-1"], "file": ["users.csv"], "line": [7], "code": ["bad"]}
    )
    quarantine = pl.concat([snapshot.quarantine, rows], how="diagonal")
    users = snapshot.users.filter(pl.col("sourced_id") != "ren\u00e9e-1")
    spelled = spell_as_stored(replace(snapshot, users=users, quarantine=quarantine), live)
    assert actions(decide(spelled.snapshot, live), Kind.USER) == {}


def test_176_a_further_id_of_a_person_in_another_form_is_no_second_person() -> None:
    one, other = SPELLINGS["person"]
    live = live_of(district(people()))
    aliases = pl.when(pl.col("sourced_id") == "u-005").then(pl.lit(other)).otherwise("aliases")
    live = replace(live, users=live.users.with_columns(aliases.alias("aliases")))
    spelled = spell_as_stored(district([*people(), person(300, sourced_id=one, given_name="Other")]), live)
    assert other in spelled.snapshot.users["sourced_id"]
    assert [each.code for each in spelled.diagnostics] == ["other-code-points"]


def test_176_two_people_of_one_file_stay_two() -> None:
    everybody = people()
    everybody[4]["sourced_id"], everybody[5]["sourced_id"] = SPELLINGS["person"]
    snapshot = district(everybody)
    for live in (live_of(snapshot), live_of(district(people()))):
        spelled = spell_as_stored(snapshot, live)
        assert spelled.snapshot is snapshot
        assert spelled.diagnostics == ()


@given(st.lists(st.text("e\u00e9\u0301\u200b\u00a0 a", min_size=1, max_size=4), min_size=1, max_size=6, unique=True))
def test_176_spelling_keeps_ids_apart(ids: list[str]) -> None:
    stored, written = ids[::2], ids[1::2]
    live = live_of(district([person(each, sourced_id=key) for each, key in enumerate(stored)]))
    snapshot = district([person(100 + each, sourced_id=key) for each, key in enumerate(written)])
    spelled = spell_as_stored(snapshot, live).snapshot.users["sourced_id"].to_list()
    assert len(set(spelled)) == len(written)
    assert all(key == before or key in stored for key, before in zip(spelled, written, strict=True))
