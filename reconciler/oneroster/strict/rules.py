"""The rules of strict conformance as data, which code, docs and tests read."""

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
    """A rule of the standard."""

    #: The stable diagnostic code.
    code: str
    #: Group and rule, as other OneRoster checkers name them.
    name: str
    #: The part of the standard.
    source: str
    #: What the standard requires.
    requirement: str
    #: What to do about a violation.
    hint: str
    severity: Severity = Severity.ERROR


_ALL = (
    Rule(
        "strict-duplicate-file",
        "package.duplicate_file",
        PACKAGE,
        "Each file is in the archive only once.",
        "Keep one of them; only the first was checked.",
    ),
    Rule(
        "strict-missing-manifest",
        "package.missing_manifest",
        PACKAGE,
        "manifest.csv is in every archive.",
        "Add it, with the version and the mode of each file: absent, bulk or delta.",
    ),
    Rule(
        "strict-unknown-file",
        "package.unknown_file",
        PACKAGE,
        "The archive has manifest.csv and the files of its version only.",
        "Leave it out of the archive.",
    ),
    Rule(
        "strict-file-name-case",
        "package.unknown_file",
        PACKAGE,
        "File names are spelled exactly, with upper and lower case.",
        "Rename it exactly as the standard spells it.",
    ),
    Rule(
        "strict-folder-in-archive",
        "package.unknown_file",
        PACKAGE,
        "The files are at the root of the archive, not in a directory.",
        "Pack the files themselves, not the directory they are in.",
    ),
    Rule("strict-not-utf-8", "csv.invalid_utf8", CSV, "Files are UTF-8.", "Export the file as UTF-8."),
    Rule(
        "strict-byte-order-mark",
        "csv.byte_order_mark",
        CSV,
        "Files are UTF-8; a byte order mark is tolerated, but is not part of the text.",
        "Export the file as UTF-8 without a byte order mark.",
        Severity.WARNING,
    ),
    Rule(
        "strict-bare-carriage-return",
        "csv.bare_carriage_return",
        CSV,
        "Rows end with CR LF or LF, never with CR alone.",
        "End the rows with CR LF.",
    ),
    Rule(
        "strict-unclosed-quote",
        "csv.unclosed_quote",
        CSV,
        "A value that opens with a quotation mark closes with one.",
        "Quote the whole value, and double the quotation marks inside it.",
    ),
    Rule(
        "strict-stray-quote",
        "csv.unescaped_quote",
        CSV,
        "Quotation marks enclose a whole value; inside it they are doubled.",
        "Quote the whole value, and double the quotation marks inside it.",
    ),
    Rule(
        "strict-line-break-in-value",
        "csv.line_break_in_quoted_field",
        CSV,
        "A value contains no CR or LF, even in quotation marks.",
        "Remove the line break at its source.",
    ),
    Rule(
        "strict-unreadable-csv",
        "csv.unreadable",
        CSV,
        "Files are CSV with commas.",
        "Export the file again; its rows were not checked.",
    ),
    Rule(
        "strict-manifest-missing-header",
        "manifest.missing_header",
        MANIFEST,
        "manifest.csv begins with a header row.",
        "Begin the file with propertyName,value.",
    ),
    Rule(
        "strict-manifest-header",
        "manifest.invalid_header",
        MANIFEST,
        "The header of manifest.csv is propertyName,value.",
        "Write exactly propertyName,value.",
    ),
    Rule(
        "strict-manifest-row-width",
        "manifest.row_width_mismatch",
        MANIFEST,
        "A row of manifest.csv has two fields.",
        "Write one property name and one value.",
    ),
    Rule(
        "strict-manifest-duplicate-property",
        "manifest.duplicate_property",
        MANIFEST,
        "A property is in manifest.csv only once.",
        "Keep the correct one; the first was used.",
    ),
    Rule(
        "strict-manifest-unknown-property",
        "manifest.unknown_property",
        MANIFEST,
        "manifest.csv has only the properties of its version, spelled exactly.",
        "Leave it out, or spell it as in the standard.",
    ),
    Rule(
        "strict-manifest-missing-property",
        "manifest.missing_property",
        MANIFEST,
        "manifest.csv has both versions and one property for each file of its version, absent ones included.",
        "Add the property.",
    ),
    Rule(
        "strict-manifest-version",
        "manifest.invalid_manifest_version",
        MANIFEST,
        "manifest.version is 1.0.",
        "Write manifest.version,1.0.",
    ),
    Rule(
        "strict-oneroster-version",
        "manifest.invalid_oneroster_version",
        MANIFEST,
        "oneroster.version is 1.1 or 1.2, also for 1.1.1 and 1.2.1.",
        "Write the version of the files.",
    ),
    Rule(
        "strict-manifest-file-mode",
        "manifest.invalid_file_mode",
        MANIFEST,
        "The mode of a file is absent, bulk or delta, in lowercase.",
        "Write absent, bulk or delta.",
    ),
    Rule(
        "strict-manifest-file-missing",
        "manifest.file_missing",
        MANIFEST,
        "A file declared as bulk or delta is in the archive.",
        "Add the file, or declare it as absent.",
    ),
    Rule(
        "strict-manifest-file-unexpected",
        "manifest.file_unexpected",
        MANIFEST,
        "A file declared as absent is not in the archive.",
        "Declare it as bulk or delta, or leave it out; it was not checked.",
    ),
    Rule(
        "strict-missing-header",
        "table.missing_header",
        HEADER,
        "Every file begins with a header row.",
        "Export the file again; leave out a file without content and declare it as absent.",
    ),
    Rule(
        "strict-empty-header-name", "table.empty_header_name", HEADER, "Every column has a name.", "Remove the column."
    ),
    Rule(
        "strict-duplicate-header",
        "table.duplicate_header",
        HEADER,
        "A column is in a file only once.",
        "Keep the correct one; the first was checked.",
    ),
    Rule(
        "strict-header-order",
        "schema.header_order_mismatch",
        HEADER,
        "The columns are in the standard's order.",
        "Put the columns in the standard's order.",
    ),
    Rule(
        "strict-header-spelling",
        "schema.header_order_mismatch",
        HEADER,
        "Column names are spelled exactly, with upper and lower case.",
        "Spell it as in the standard.",
    ),
    Rule(
        "strict-missing-column",
        "schema.missing_header",
        HEADER,
        "The file has all its columns, empty ones included.",
        "Add the column, with empty values if there are none.",
    ),
    Rule(
        "strict-metadata-column-position",
        "schema.metadata_column_position",
        HEADER,
        "Extension columns follow the last column of the standard.",
        "Move it to the end of the row.",
    ),
    Rule(
        "strict-invalid-metadata-header",
        "schema.invalid_metadata_header",
        HEADER,
        "A column that is not in the standard is named metadata.NAME.",
        "Name it metadata.NAME and put it last, or leave it out.",
    ),
    Rule(
        "strict-missing-data-rows",
        "table.missing_data_rows",
        ROWS,
        "A file that is declared has at least one row.",
        "Leave the file out and declare it as absent.",
    ),
    Rule(
        "strict-row-width",
        "table.row_width_mismatch",
        ROWS,
        "Every row has as many fields as the header.",
        "Quote values that contain a comma, and write empty values too; the row was not checked further.",
    ),
    Rule(
        "strict-missing-required-value",
        "row.missing_required_value",
        ROWS,
        "A required value is not empty.",
        "Fill in a value in every row.",
    ),
    Rule(
        "strict-field-forbidden-in-bulk",
        "row.field_forbidden_in_bulk",
        MODES,
        "In a bulk file, status and dateLastModified are blank.",
        "Leave the column empty, or declare the file as delta.",
    ),
    Rule(
        "strict-field-required-in-delta",
        "row.field_required_in_delta",
        MODES,
        "In a delta file, every row has status and dateLastModified.",
        "Fill in both, or declare the file as bulk.",
    ),
    Rule(
        "strict-invalid-guid",
        "row.invalid_guid",
        TYPES,
        "A sourcedId has 1 to 255 of the characters 0-9 A-Z a-z . - _ / @.",
        "Use only these characters, also in references to it.",
    ),
    Rule(
        "strict-invalid-boolean",
        "row.invalid_boolean",
        TYPES,
        "A boolean is true or false, in lowercase.",
        "Write true or false.",
    ),
    Rule(
        "strict-invalid-date",
        "row.invalid_date",
        TYPES,
        "A date exists in the calendar and is written YYYY-MM-DD.",
        "Write it like 2026-08-31.",
    ),
    Rule(
        "strict-invalid-datetime",
        "row.invalid_datetime",
        TYPES,
        "A time is UTC, written YYYY-MM-DDTHH:MM:SS.sssZ with three decimals.",
        "Write it like 2026-08-31T06:00:00.000Z.",
    ),
    Rule(
        "strict-invalid-year",
        "row.invalid_year",
        TYPES,
        "A year has four digits; a school year is the year in which it ends.",
        "Write it like 2027.",
    ),
    Rule(
        "strict-invalid-float",
        "row.invalid_float",
        TYPES,
        "A number is decimal, with a decimal point.",
        "Write it like 87.5.",
    ),
    Rule(
        "strict-invalid-integer", "row.invalid_integer", TYPES, "A whole number has digits only.", "Write it like 20."
    ),
    Rule(
        "strict-invalid-list",
        "row.invalid_list",
        TYPES,
        "A list is one value with comma-separated items, none empty, without spaces around them. Items of userIds are"
        " {type:identifier}; in 1.2, subjectCodes has one item for each of subjects.",
        'Write it like "a,b".',
    ),
    Rule(
        "strict-invalid-enum",
        "row.invalid_enum",
        WORDS,
        "A value of an enumeration is one of the standard's words, spelled exactly; in 1.2, most may also be ext:WORD.",
        "Write one of the standard's words.",
    ),
    Rule(
        "strict-duplicate-sourced-id",
        "reference.duplicate_sourced_id",
        REFERENCES,
        "A sourcedId is in a file only once.",
        "Keep the correct row.",
    ),
    Rule(
        "strict-missing-target-file",
        "reference.missing_target_file",
        REFERENCES,
        "The file that a bulk file refers to is in the same archive.",
        "Send the file too, or leave the reference empty if the standard allows it.",
    ),
    Rule(
        "strict-missing-target-record",
        "reference.missing_target_record",
        REFERENCES,
        "The row that a bulk file refers to is in the same archive.",
        "Add the missing row, or correct the reference.",
    ),
    Rule(
        "strict-academic-session-type-mismatch",
        "semantic.academic_session_type_mismatch",
        MEANING,
        "courses.schoolYearSourcedId refers to a schoolYear; lineItems.gradingPeriodSourcedId (1.1) to a gradingPeriod;"
        " lineItems.academicSessionSourcedId (1.2) not to a schoolYear.",
        "Refer to an academic session of the right type.",
    ),
    Rule(
        "strict-org-type-mismatch",
        "semantic.org_type_mismatch",
        MEANING,
        "schoolSourcedId refers to an org of type school.",
        "Refer to the school, or correct the org's type.",
    ),
    Rule(
        "strict-multiple-primary-roles-for-user-org",
        "semantic.multiple_primary_roles_for_user_org",
        MEANING,
        "A user has one primary role in an org (1.2).",
        "Make the others secondary.",
    ),
    Rule(
        "strict-primary-org-missing-role",
        "semantic.primary_org_missing_role",
        MEANING,
        "A user has a role in their primary org (1.2).",
        "Add the role to roles.csv, or correct primaryOrgSourcedId.",
    ),
    Rule(
        "strict-user-profile-user-mismatch",
        "semantic.user_profile_user_mismatch",
        MEANING,
        "A role refers to a profile of the same user (1.2).",
        "Refer to a profile of the same user.",
    ),
    Rule(
        "strict-invalid-score-range",
        "semantic.invalid_score_range",
        MEANING,
        "resultValueMin is not above resultValueMax.",
        "Correct one of them.",
    ),
    Rule(
        "strict-score-below-min",
        "semantic.score_below_min",
        MEANING,
        "A score is not below the line item's resultValueMin.",
        "Correct the score or the line item.",
    ),
    Rule(
        "strict-score-above-max",
        "semantic.score_above_max",
        MEANING,
        "A score is not above the line item's resultValueMax.",
        "Correct the score or the line item.",
    ),
    Rule(
        "strict-result-class-mismatch",
        "semantic.result_class_mismatch",
        MEANING,
        "A result has the class of its line item (1.2).",
        "Write the class of the line item, or leave it empty.",
    ),
    Rule(
        "strict-result-student-not-enrolled",
        "semantic.result_student_not_enrolled",
        MEANING,
        "The student of a result is enrolled in its class.",
        "Add the enrollment, or leave the result out.",
    ),
    Rule(
        "strict-invalid-score-scale-mapping",
        "semantic.invalid_score_scale_mapping",
        MEANING,
        "Items of scoreScaleValue are written {left:right} (1.2).",
        'Write it like "{A:90-100},{B:80-89}".',
    ),
    Rule(
        "strict-invalid-case-learning-objective-id",
        "semantic.invalid_case_learning_objective_id",
        MEANING,
        "A learning objective with source case is urn:uuid: and a lowercase UUID (1.2).",
        "Write the CASE identifier as urn:uuid:..., or set the source to unknown.",
    ),
    Rule(
        "strict-resource-role-mismatch",
        "semantic.resource_role_mismatch",
        MEANING,
        "A user with a resource has one of the resource's roles (1.2).",
        "Correct the resource's roles, or leave the row out.",
    ),
    Rule(
        "strict-user-resource-class-org-mismatch",
        "semantic.user_resource_class_org_mismatch",
        MEANING,
        "The org of a user's resource is the school of the class (1.2).",
        "Write the school of the class, or leave it empty.",
    ),
    Rule(
        "strict-user-resource-user-not-enrolled",
        "semantic.user_resource_user_not_enrolled",
        MEANING,
        "A user with a resource in a class is enrolled in the class (1.2).",
        "Add the enrollment, or leave the row out.",
    ),
)

RULES: Mapping[str, Rule] = {rule.code: rule for rule in _ALL}

#: Code -> reason for which an archive is refused, with or without `--strict`; that still checks the readable files.
REFUSALS: Mapping[str, str] = {
    "empty-file": "The archive is empty.",
    "not-a-zip": "The file is not a ZIP archive.",
    "truncated-archive": "The end of the archive is missing.",
    "damaged-archive": "A file does not unpack to what was packed (CRC).",
    "too-many-members": "The archive has more files than a roster can.",
    "unpacks-too-large": "A file unpacks to more data than a roster can have.",
    "overlapping-members": "Two files share the same bytes.",
    "duplicate-member": "Two files have the same name, or names that differ only in case.",
    "unsafe-member-name": "A name points outside the archive.",
    "not-a-regular-file": "A file is a link or a device.",
    "encrypted-member": "A file is protected by a password.",
    "unknown-compression": "A file uses an unsupported compression method.",
    "nested-archive": "There is an archive inside the archive.",
    "several-folders": "CSV files are in several directories.",
}
