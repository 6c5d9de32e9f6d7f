"""The rules of the letter as data: code, name, what the standard asks, what to do. Code, docs and tests read it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from reconciler.model.diagnostic import Severity

PACKAGE = "ZIP package"
MANIFEST = "manifest.csv"
CSV = "CSV format (RFC 4180)"
HEADER = "Header row"
ROWS = "Data rows"
MODES = "Bulk and delta"
TYPES = "Data types"
WORDS = "Enumerations"
REFERENCES = "sourcedIds and references"
MEANING = "Data model"


@dataclass(frozen=True, slots=True)
class Rule:
    """code: ours, stable. name: of the rule in lists of OneRoster diagnostics, group and rule. source: the part of
    the standard that says it. says: what the standard asks. hint: what to do about a deviation."""

    code: str
    name: str
    source: str
    requirement: str
    hint: str
    severity: Severity = Severity.ERROR


_ALL = (
    Rule(
        "strict-duplicate-file",
        "package.duplicate_file",
        PACKAGE,
        "A file is in the archive once.",
        "keep one of them; only the first was checked",
    ),
    Rule(
        "strict-missing-manifest",
        "package.missing_manifest",
        PACKAGE,
        "manifest.csv is in every archive.",
        "add it: it says the version and, for each file, absent, bulk or delta",
    ),
    Rule(
        "strict-unknown-file",
        "package.unknown_file",
        PACKAGE,
        "The archive holds manifest.csv and the files of its version, and nothing else.",
        "leave it out of the archive",
    ),
    Rule(
        "strict-file-name-case",
        "package.unknown_file",
        PACKAGE,
        "File names are exact, upper and lower case included.",
        "rename it exactly as the standard spells it",
    ),
    Rule(
        "strict-folder-in-archive",
        "package.unknown_file",
        PACKAGE,
        "The files are at the root of the archive, in no folder.",
        "pack the files themselves and not the folder they are in",
    ),
    Rule(
        "strict-not-utf-8",
        "csv.invalid_utf8",
        CSV,
        "Files are UTF-8.",
        "export the file as UTF-8",
    ),
    Rule(
        "strict-byte-order-mark",
        "csv.byte_order_mark",
        CSV,
        "Files are UTF-8; a byte order mark is tolerated, but is no part of the text.",
        "export the file as UTF-8 without a byte order mark",
        Severity.WARNING,
    ),
    Rule(
        "strict-bare-carriage-return",
        "csv.bare_carriage_return",
        CSV,
        "Rows end with CR LF or LF, never with CR alone.",
        "end the rows with CR LF",
    ),
    Rule(
        "strict-unclosed-quote",
        "csv.unclosed_quote",
        CSV,
        "A value that opens with a quotation mark closes with one.",
        "quote the whole value and double the quotation marks inside it",
    ),
    Rule(
        "strict-stray-quote",
        "csv.unescaped_quote",
        CSV,
        "Quotation marks stand around a whole value; inside it they are doubled.",
        "quote the whole value and double the quotation marks inside it",
    ),
    Rule(
        "strict-line-break-in-value",
        "csv.line_break_in_quoted_field",
        CSV,
        "A value holds no CR and no LF, not even in quotation marks.",
        "remove the line break at its source",
    ),
    Rule(
        "strict-unreadable-csv",
        "csv.unreadable",
        CSV,
        "Files are CSV with commas.",
        "export the file again; its rows were not checked",
    ),
    Rule(
        "strict-manifest-missing-header",
        "manifest.missing_header",
        MANIFEST,
        "manifest.csv begins with a header row.",
        "begin it with propertyName,value",
    ),
    Rule(
        "strict-manifest-header",
        "manifest.invalid_header",
        MANIFEST,
        "The header of manifest.csv is propertyName,value.",
        "write it exactly so",
    ),
    Rule(
        "strict-manifest-row-width",
        "manifest.row_width_mismatch",
        MANIFEST,
        "A row of manifest.csv has two fields.",
        "write one property name and one value",
    ),
    Rule(
        "strict-manifest-duplicate-property",
        "manifest.duplicate_property",
        MANIFEST,
        "A property stands once in manifest.csv.",
        "keep the one that is right; the first was used",
    ),
    Rule(
        "strict-manifest-unknown-property",
        "manifest.unknown_property",
        MANIFEST,
        "manifest.csv has the properties of its version and no others, in exact spelling.",
        "leave it out, or spell it as the standard does",
    ),
    Rule(
        "strict-manifest-missing-property",
        "manifest.missing_property",
        MANIFEST,
        "manifest.csv has both versions and one property for each file of its version, also for absent ones.",
        "add the property",
    ),
    Rule(
        "strict-manifest-version",
        "manifest.invalid_manifest_version",
        MANIFEST,
        "manifest.version is 1.0.",
        "write manifest.version,1.0",
    ),
    Rule(
        "strict-oneroster-version",
        "manifest.invalid_oneroster_version",
        MANIFEST,
        "oneroster.version is 1.1 or 1.2; 1.1.1 and 1.2.1 say so too.",
        "write the version that the files have",
    ),
    Rule(
        "strict-manifest-file-mode",
        "manifest.invalid_file_mode",
        MANIFEST,
        "The mode of a file is absent, bulk or delta, in lower case.",
        "write one of the three",
    ),
    Rule(
        "strict-manifest-file-missing",
        "manifest.file_missing",
        MANIFEST,
        "A file declared as bulk or delta is in the archive.",
        "add the file, or declare it as absent",
    ),
    Rule(
        "strict-manifest-file-unexpected",
        "manifest.file_unexpected",
        MANIFEST,
        "A file declared as absent is not in the archive.",
        "declare it as bulk or delta, or leave it out; it was not checked",
    ),
    Rule(
        "strict-missing-header",
        "table.missing_header",
        HEADER,
        "Every file begins with a header row.",
        "export the file again; leave out a file without content and declare it as absent",
    ),
    Rule(
        "strict-empty-header-name",
        "table.empty_header_name",
        HEADER,
        "No column is without a name.",
        "remove the column",
    ),
    Rule(
        "strict-duplicate-header",
        "table.duplicate_header",
        HEADER,
        "A column stands once in a file.",
        "keep the one that is right; the first was checked",
    ),
    Rule(
        "strict-header-order",
        "schema.header_order_mismatch",
        HEADER,
        "The columns stand in the standard's order.",
        "put the columns in the standard's order",
    ),
    Rule(
        "strict-header-spelling",
        "schema.header_order_mismatch",
        HEADER,
        "Column names are exact, upper and lower case included.",
        "spell it as the standard does",
    ),
    Rule(
        "strict-missing-column",
        "schema.missing_header",
        HEADER,
        "All columns of the file are there, also those that are empty.",
        "add the column, empty if there is nothing to say",
    ),
    Rule(
        "strict-metadata-column-position",
        "schema.metadata_column_position",
        HEADER,
        "Extension columns stand after the last column of the standard.",
        "move it to the end of the row",
    ),
    Rule(
        "strict-invalid-metadata-header",
        "schema.invalid_metadata_header",
        HEADER,
        "A column that the standard does not have is named metadata.NAME.",
        "name it metadata.NAME and put it last, or leave it out",
    ),
    Rule(
        "strict-missing-data-rows",
        "table.missing_data_rows",
        ROWS,
        "A file that is declared has at least one row.",
        "leave the file out and declare it as absent",
    ),
    Rule(
        "strict-row-width",
        "table.row_width_mismatch",
        ROWS,
        "Every row has as many fields as the header.",
        "quote values that hold a comma, and write empty values too; the row was not checked further",
    ),
    Rule(
        "strict-missing-required-value",
        "row.missing_required_value",
        ROWS,
        "A required value is not empty.",
        "give every row a value",
    ),
    Rule(
        "strict-field-forbidden-in-bulk",
        "row.field_forbidden_in_bulk",
        MODES,
        "In a bulk file, status and dateLastModified are blank.",
        "leave the column empty, or declare the file as delta",
    ),
    Rule(
        "strict-field-required-in-delta",
        "row.field_required_in_delta",
        MODES,
        "In a delta file, every row has status and dateLastModified.",
        "fill in both, or declare the file as bulk",
    ),
    Rule(
        "strict-invalid-guid",
        "row.invalid_guid",
        TYPES,
        "A sourcedId is 1 to 255 of the characters 0-9 A-Z a-z . - _ / @.",
        "use those characters only, also where others refer to it",
    ),
    Rule(
        "strict-invalid-boolean",
        "row.invalid_boolean",
        TYPES,
        "A boolean is true or false, in lower case.",
        "write true or false",
    ),
    Rule(
        "strict-invalid-date",
        "row.invalid_date",
        TYPES,
        "A date is a day of the calendar as YYYY-MM-DD.",
        "write it like 2026-08-31",
    ),
    Rule(
        "strict-invalid-datetime",
        "row.invalid_datetime",
        TYPES,
        "A time is UTC as YYYY-MM-DDTHH:MM:SS.sssZ, with three decimals.",
        "write it like 2026-08-31T06:00:00.000Z",
    ),
    Rule(
        "strict-invalid-year",
        "row.invalid_year",
        TYPES,
        "A year is four digits; a school year is named for the year in which it ends.",
        "write it like 2027",
    ),
    Rule(
        "strict-invalid-float",
        "row.invalid_float",
        TYPES,
        "A number is decimal, with a point.",
        "write it like 87.5",
    ),
    Rule(
        "strict-invalid-integer",
        "row.invalid_integer",
        TYPES,
        "A whole number is digits only.",
        "write it like 20",
    ),
    Rule(
        "strict-invalid-list",
        "row.invalid_list",
        TYPES,
        "A list is one value with items joined by commas, none empty, no spaces around them. Items of userIds are"
        " {type:identifier}; in 1.2, subjectCodes has one item for each of subjects.",
        'write it like "a,b"',
    ),
    Rule(
        "strict-invalid-enum",
        "row.invalid_enum",
        WORDS,
        "An enumeration's value is one of the standard's words, in their case; in 1.2 most may also be ext:WORD.",
        "write one of the standard's words",
    ),
    Rule(
        "strict-duplicate-sourced-id",
        "reference.duplicate_sourced_id",
        REFERENCES,
        "A sourcedId stands once in a file.",
        "keep the row that is right",
    ),
    Rule(
        "strict-missing-target-file",
        "reference.missing_target_file",
        REFERENCES,
        "What a bulk file refers to is in the same archive: the file is there.",
        "send the file too, or leave the reference empty where the standard lets you",
    ),
    Rule(
        "strict-missing-target-record",
        "reference.missing_target_record",
        REFERENCES,
        "What a bulk file refers to is in the same archive: the row is there.",
        "add the row that is referred to, or correct the reference",
    ),
    Rule(
        "strict-academic-session-type-mismatch",
        "semantic.academic_session_type_mismatch",
        MEANING,
        "courses.schoolYearSourcedId refers to a schoolYear; lineItems.gradingPeriodSourcedId (1.1) to a gradingPeriod;"
        " lineItems.academicSessionSourcedId (1.2) to no schoolYear.",
        "refer to an academic session of the right type",
    ),
    Rule(
        "strict-org-type-mismatch",
        "semantic.org_type_mismatch",
        MEANING,
        "schoolSourcedId refers to an org of type school.",
        "refer to the school, or correct the org's type",
    ),
    Rule(
        "strict-multiple-primary-roles-for-user-org",
        "semantic.multiple_primary_roles_for_user_org",
        MEANING,
        "A user has one primary role in an org (1.2).",
        "make the others secondary",
    ),
    Rule(
        "strict-primary-org-missing-role",
        "semantic.primary_org_missing_role",
        MEANING,
        "A user has a role in their primary org (1.2).",
        "add the role to roles.csv, or correct primaryOrgSourcedId",
    ),
    Rule(
        "strict-user-profile-user-mismatch",
        "semantic.user_profile_user_mismatch",
        MEANING,
        "The profile that a role refers to is the same user's (1.2).",
        "refer to a profile of that user",
    ),
    Rule(
        "strict-invalid-score-range",
        "semantic.invalid_score_range",
        MEANING,
        "resultValueMin is not above resultValueMax.",
        "correct one of the two",
    ),
    Rule(
        "strict-score-below-min",
        "semantic.score_below_min",
        MEANING,
        "A score is not below the line item's resultValueMin.",
        "correct the score or the line item",
    ),
    Rule(
        "strict-score-above-max",
        "semantic.score_above_max",
        MEANING,
        "A score is not above the line item's resultValueMax.",
        "correct the score or the line item",
    ),
    Rule(
        "strict-result-class-mismatch",
        "semantic.result_class_mismatch",
        MEANING,
        "A result's class is its line item's (1.2).",
        "write the class of the line item, or leave it empty",
    ),
    Rule(
        "strict-result-student-not-enrolled",
        "semantic.result_student_not_enrolled",
        MEANING,
        "The student of a result is enrolled in its class.",
        "add the enrollment, or leave the result out",
    ),
    Rule(
        "strict-invalid-score-scale-mapping",
        "semantic.invalid_score_scale_mapping",
        MEANING,
        "Items of scoreScaleValue are {left:right} (1.2).",
        'write it like "{A:90-100},{B:80-89}"',
    ),
    Rule(
        "strict-invalid-case-learning-objective-id",
        "semantic.invalid_case_learning_objective_id",
        MEANING,
        "A learning objective of source case is urn:uuid: and a UUID in lower case (1.2).",
        "write the CASE identifier as urn:uuid:..., or make the source unknown",
    ),
    Rule(
        "strict-resource-role-mismatch",
        "semantic.resource_role_mismatch",
        MEANING,
        "A user who gets a resource has one of the resource's roles (1.2).",
        "correct the resource's roles, or leave the row out",
    ),
    Rule(
        "strict-user-resource-class-org-mismatch",
        "semantic.user_resource_class_org_mismatch",
        MEANING,
        "The org of a user's resource is the school of its class (1.2).",
        "write the school of the class, or leave it empty",
    ),
    Rule(
        "strict-user-resource-user-not-enrolled",
        "semantic.user_resource_user_not_enrolled",
        MEANING,
        "A user who gets a resource in a class is enrolled in it (1.2).",
        "add the enrollment, or leave the row out",
    ),
)

RULES: Mapping[str, Rule] = {rule.code: rule for rule in _ALL}

#: What the intake refuses an archive for, and so `--strict` too, which then checks what is left of it: code -> why.
REFUSALS: Mapping[str, str] = {
    "empty-file": "The archive is empty.",
    "not-a-zip": "The file is no ZIP archive.",
    "truncated-archive": "The archive's end is missing.",
    "damaged-archive": "A file does not unpack to what was packed (CRC).",
    "too-many-members": "It holds more files than a roster can have.",
    "unpacks-too-large": "A file unpacks to more than a roster can be.",
    "overlapping-members": "Two files share the same bytes.",
    "duplicate-member": "Two files have one name, or names that differ in case alone.",
    "unsafe-member-name": "A name leads out of the archive.",
    "not-a-regular-file": "A file is a link or a device.",
    "encrypted-member": "A file is protected by a password.",
    "unknown-compression": "A file is packed in an unusual way.",
    "nested-archive": "There is an archive inside the archive.",
    "several-folders": "CSV files are in more than one folder.",
}
