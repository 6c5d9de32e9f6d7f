"""The tables of the strict check: column types, codes, and the page rendered from them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from reconciler.oneroster.standard.tables import ENUMERATIONS_1_1, ENUMERATIONS_1_2, EXTENSIBLE, STANDARDS
from reconciler.oneroster.strict.page import render_strict_page
from reconciler.oneroster.strict.rules import REFUSALS, RULES
from reconciler.oneroster.strict.tables import TABLES, WORDS, StrictType

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "strict.md"

#: Groups and rules that a checker of OneRoster CSV has.
NAMED = {
    "package": "duplicate_file missing_manifest unknown_file",
    "manifest": "duplicate_property file_missing file_unexpected invalid_file_mode invalid_header"
    " invalid_manifest_version invalid_oneroster_version missing_header missing_property row_width_mismatch"
    " unknown_property",
    "table": "duplicate_header empty_header_name missing_data_rows missing_header row_width_mismatch",
    "schema": "header_order_mismatch invalid_metadata_header metadata_column_position missing_header",
    "row": "field_forbidden_in_bulk field_required_in_delta invalid_boolean invalid_date invalid_datetime invalid_enum"
    " invalid_float invalid_guid invalid_integer invalid_list invalid_year missing_required_value",
    "reference": "duplicate_sourced_id missing_target_file missing_target_record",
    "semantic": "academic_session_type_mismatch invalid_case_learning_objective_id invalid_score_range"
    " invalid_score_scale_mapping multiple_primary_roles_for_user_org org_type_mismatch primary_org_missing_role"
    " resource_role_mismatch result_class_mismatch result_student_not_enrolled score_above_max score_below_min"
    " user_profile_user_mismatch user_resource_class_org_mismatch user_resource_user_not_enrolled",
}


def test_every_rule_of_a_checker_is_ours() -> None:
    wanted = {f"{group}.{name}" for group, names in NAMED.items() for name in names.split()}
    ours = {rule.name for rule in RULES.values()}
    assert wanted <= ours
    assert {name.partition(".")[0] for name in ours - wanted} == {"csv"}


def test_codes_are_hyphenated_words_distinct_from_the_intakes() -> None:
    assert all(re.fullmatch(r"strict(-[a-z0-9]+)+", code) for code in RULES)
    assert not RULES.keys() & REFUSALS.keys()


@pytest.mark.parametrize("version", ["1.1", "1.2"])
def test_files_and_columns_are_those_that_the_intake_knows(version: str) -> None:
    assert {name: list(table.names) for name, table in TABLES[version].items()} == {
        name: [column.name for column in table.columns] for name, table in STANDARDS[version].tables.items()
    }


@pytest.mark.parametrize("version", ["1.1", "1.2"])
def test_reference_columns_point_to_files_of_their_version(version: str) -> None:
    for table in TABLES[version].values():
        for column in table.columns[1:]:
            assert (column.target is not None) == column.name.endswith(("SourcedId", "SourcedIds"))
        for column in table.columns:
            assert column.target is None or (column.target in TABLES[version] and column.type is StrictType.GUID)


@pytest.mark.parametrize("version", ["1.1", "1.2"])
def test_date_and_boolean_columns_are_typed_by_name(version: str) -> None:
    for table in TABLES[version].values():
        for column in table.columns:
            if column.name.endswith("Date"):
                assert column.type is StrictType.DATE, column
            if column.name in ("enabledUser", "primary", "asian", "white", "late", "missing"):
                assert column.type is StrictType.BOOLEAN, column


@pytest.mark.parametrize(("version", "known"), [("1.1", ENUMERATIONS_1_1), ("1.2", ENUMERATIONS_1_2)])
def test_enumerations_have_the_words_that_the_intake_knows(
    version: str, known: dict[tuple[str, str], dict[str, str]]
) -> None:
    columns = {(name, column.name): column for name, table in TABLES[version].items() for column in table.columns}
    for place, words in known.items():
        if place in columns:
            assert set(columns[place].words) == set(words), place
    if version == "1.2":
        assert all(columns[place].extensible for place in EXTENSIBLE)
        assert not columns["roles", "roleType"].extensible
    else:
        assert not any(column.extensible for column in columns.values())
    assert columns["orgs", "status"].words == WORDS["status"]


def test_documentation_page_is_generated_from_the_tables() -> None:
    assert PAGE.read_text(encoding="utf-8") == render_strict_page(), (
        "python -m reconciler.oneroster.strict.page > docs/reference/strict.md"
    )
