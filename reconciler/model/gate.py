"""Lists the gates: checks that a roster must pass before anything missing from it counts as removed.

`planning` and `oneroster` decide whether a gate is met; docs and reports read its sentences from this table.
"""

from dataclasses import dataclass
from enum import StrEnum


class GateOutcome(StrEnum):
    """The consequence of a gate that a roster does not pass."""

    #: nothing is planned for the customer
    REFUSED = "refused"
    #: the roster is compared, every change is listed and counted, and removals wait for approval; without removals
    #: the gate is a warning
    HELD = "held"


@dataclass(frozen=True, slots=True)
class Gate:
    """One gate and its sentences."""

    #: the code of its diagnostics
    code: str
    outcome: GateOutcome
    #: the thing that it checks, for the documentation
    looks_at: str
    #: a plain sentence for school administrators
    sentence: str
    #: True if an exception under `allow:` can bypass it; never for a source that cannot be read completely
    can_be_allowed: bool = False


_R, _H = GateOutcome.REFUSED, GateOutcome.HELD

_GATES = (
    # The source is incomplete or damaged.
    Gate(
        "incomplete-source",
        _R,
        "the end of the source",
        "The roster did not arrive complete, so nobody was compared.",
    ),
    Gate(
        "truncated-archive",
        _R,
        "the directory at the end of the archive",
        "The upload is incomplete. Send the file again.",
    ),
    Gate(
        "damaged-archive",
        _R,
        "the checksum of every file in the archive",
        "The file was damaged in transit. Send it again.",
    ),
    Gate(
        "encrypted-member",
        _R,
        "password protection of files in the archive",
        "The file is protected by a password. Send it without one.",
    ),
    Gate(
        "empty-file",
        _R,
        "the header of every file",
        "A file has no content, not even a header. Export it again.",
    ),
    Gate(
        "missing-file",
        _R,
        "the files that a roster needs, and those that its manifest declares",
        "A file of the roster is missing. Export the full roster again.",
    ),
    Gate(
        "truncated-file",
        _R,
        "the last line of every file",
        "A file ends in the middle of a line. The upload was probably cut off; send it again.",
    ),
    Gate(
        "unbalanced-quote",
        _R,
        "quotation marks",
        "A quotation mark is never closed, so the rest of the file cannot be read. Export it again.",
    ),
    Gate(
        "too-many-malformed-rows",
        _R,
        "rows with too few or too many fields, at most 1%",
        "Too many lines of a file are damaged. Export it again.",
    ),
    Gate(
        "huge-row",
        _R,
        "the length of every line",
        "A line is too long for a roster. Export the file again.",
    ),
    Gate(
        "huge-header",
        _R,
        "the length of the header and its number of columns",
        "A file has far more columns than a roster. Export it again.",
    ),
    # The source has the wrong content.
    Gate(
        "wrong-encoding",
        _R,
        "the encoding, which must be UTF-8",
        "The file's characters cannot be read. Export it as UTF-8.",
    ),
    Gate(
        "wrong-delimiter",
        _R,
        "the separator between columns, which must be a comma",
        "The columns are not separated by commas. Export the file again as comma-separated CSV.",
    ),
    Gate(
        "wrong-file-header",
        _R,
        "the header, which must fit the file's name",
        "A file contains the data of another file. Export the roster again.",
    ),
    Gate(
        "missing-column",
        _R,
        "the columns that every roster needs",
        "A required column is missing from a file. Export all columns.",
    ),
    Gate(
        "duplicate-header",
        _R,
        "repeated column names",
        "A file has two columns with the same name. Export it again.",
    ),
    Gate(
        "session-cycle",
        _R,
        "academic sessions that are their own ancestor",
        "Two terms list each other as their parent. Correct one of them.",
    ),
    Gate(
        "emptied-file",
        _R,
        "files without rows that had rows before",
        "A file that had rows before is empty now. Nobody is removed because of an empty file.",
        can_be_allowed=True,
    ),
    Gate(
        "not-this-customer",
        _R,
        "rows that belong to the customer's org",
        "This looks like another institution's file.",
    ),
    Gate(
        "schools-without-parent",
        _R,
        "people of schools that belong to no institution of the file, at most half",
        "Most people are in schools that belong to no institution of the file. Correct the parents of its schools.",
    ),
    Gate(
        "other-source-system",
        _R,
        "source.systemCode in the manifest, compared with the last good roster",
        "The file comes from a different student information system than the last one.",
        can_be_allowed=True,
    ),
    Gate(
        "most-rows-quarantined",
        _R,
        "rows of each file that cannot be used, at most half",
        "Most rows of a file cannot be used. Correct the export and send it again.",
    ),
    Gate(
        "delta-without-whole",
        _R,
        "the full roster that a delta roster changes",
        "The file contains only changes, but no full roster has arrived yet. Send a full roster first.",
    ),
    # The source differs too much from the last good roster.
    Gate(
        "row-count-drop",
        _H,
        "rows of each file, at most 20% fewer than in the last good roster",
        "The file is much shorter than the last one. The export is probably incomplete.",
        can_be_allowed=True,
    ),
    Gate(
        "stale-source",
        _H,
        "the source's own dates, compared with the last good roster",
        "The file is older than the last one used.",
        can_be_allowed=True,
    ),
    Gate(
        "optional-file-missing",
        _H,
        "files that the last good roster included",
        "A file that the last roster included is missing.",
        can_be_allowed=True,
    ),
    Gate(
        "org-vanished",
        _H,
        "orgs that people or classes belong to",
        "A school is missing from the file, but people still belong to it.",
        can_be_allowed=True,
    ),
    Gate(
        "root-changed",
        _H,
        "the top-level org",
        "The top-level institution is not the one in the last roster.",
        can_be_allowed=True,
    ),
    Gate(
        "people-of-another-customer",
        _H,
        "new people who have the sourcedId and names of people of a customer with the same source, at most 5%",
        "These people belong to another customer already. Two customers probably have the same source by mistake.",
        can_be_allowed=True,
    ),
    # Too many rows have the same problem.
    Gate(
        "many-quarantined-rows",
        _H,
        "rows of each file that cannot be used, at most 10 %",
        "Many rows of a file cannot be used. A column was probably exported incorrectly.",
        can_be_allowed=True,
    ),
    Gate(
        "many-unknown-roles",
        _H,
        "rows with a role that OneRoster does not define, at most 2%",
        "Many people have an unknown role.",
        can_be_allowed=True,
    ),
    Gate(
        "many-newly-disabled",
        _H,
        "people who can sign in now but are not enabled in the roster, at most 20%",
        "Many people would lose their sign-in. A column was probably exported incorrectly.",
        can_be_allowed=True,
    ),
    Gate(
        "many-dangling-references",
        _H,
        "enrollments whose person or class is missing, at most 2%",
        "Many enrollments name people or classes that are not in the roster. Its files are probably from different "
        "exports.",
        can_be_allowed=True,
    ),
    Gate(
        "keys-damaged",
        _H,
        "identifiers that a spreadsheet changed, at most 5%",
        "A spreadsheet has probably removed the leading zeros of people's ID numbers.",
        can_be_allowed=True,
    ),
)

GATES: dict[str, Gate] = {gate.code: gate for gate in _GATES}
ALLOWABLE_GATES = tuple(gate.code for gate in _GATES if gate.can_be_allowed)
