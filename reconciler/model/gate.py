"""Source gates: rules that a roster must pass before anything that is missing from it counts as gone.

One line each: what a gate does and says. `planning.gates` and `oneroster` decide, docs and reports read this table.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class GateOutcome(StrEnum):
    """refused: nothing is planned for the customer. held: compared, listed and counted; what would take something away
    waits for a person, and where there is nothing of the kind the gate is a warning."""

    REFUSED = "refused"
    HELD = "held"


@dataclass(frozen=True, slots=True)
class Gate:
    """code: of its diagnostic. looks_at: what it compares. sentence: for people who are no programmers.
    allowed: whether `allow:` lets it pass; a source that cannot be read whole never does."""

    code: str
    outcome: GateOutcome
    looks_at: str
    sentence: str
    can_be_allowed: bool = False


_R, _H = GateOutcome.REFUSED, GateOutcome.HELD

_GATES = (
    # Completeness: the source is not what was sent.
    Gate(
        "incomplete-source",
        _R,
        "whether the source was read to its end",
        "The roster did not arrive whole, so nobody was compared.",
    ),
    Gate(
        "truncated-archive",
        _R,
        "the end of the archive, where its directory is",
        "The file was not uploaded to its end. Send it again.",
    ),
    Gate(
        "damaged-archive",
        _R,
        "the checksum of every file in the archive",
        "The file was damaged on its way. Send it again.",
    ),
    Gate(
        "encrypted-member",
        _R,
        "that no file in the archive is protected by a password",
        "The file is protected by a password. Send it without one.",
    ),
    Gate(
        "empty-file",
        _R,
        "that every file has at least its header",
        "A file is empty to its last byte, which no roster is. Export it again.",
    ),
    Gate(
        "missing-file",
        _R,
        "the files a roster needs, and those its manifest declares",
        "A file of the roster is missing. Export all of it again.",
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
        "A quotation mark was not closed, so the rest of a file cannot be told apart. Export it again.",
    ),
    Gate(
        "too-many-malformed-rows",
        _R,
        "rows with too few or too many fields, at most 1 %",
        "Too many lines of a file are damaged to trust the others. Export it again.",
    ),
    Gate(
        "huge-row",
        _R,
        "that no line is longer than a roster's can be",
        "A line of a file is endless, so this is no list of people. Export it again.",
    ),
    Gate(
        "huge-header",
        _R,
        "the length of the first line and how many columns it names",
        "A file names far more columns than any roster has. Export it again.",
    ),
    # The wrong thing in the right place.
    Gate(
        "wrong-encoding",
        _R,
        "that the text is UTF-8",
        "The file's letters cannot be read. Export it as UTF-8.",
    ),
    Gate(
        "wrong-delimiter",
        _R,
        "that commas part the columns",
        "The file uses another sign than a comma between columns. Export it again.",
    ),
    Gate(
        "wrong-file-header",
        _R,
        "that the header is that of the file's name",
        "A file holds what belongs in another file. Export the roster again.",
    ),
    Gate(
        "missing-column",
        _R,
        "the columns that every roster needs",
        "A file lacks a column, so what it says of everybody is unknown. Export all columns.",
    ),
    Gate(
        "duplicate-header",
        _R,
        "that no column stands twice",
        "A file has two columns of one name, and nobody can tell which is right. Export it again.",
    ),
    Gate(
        "org-cycle",
        _R,
        "that no org is above itself",
        "Two institutions are each above the other. Correct one of them.",
    ),
    Gate(
        "session-cycle",
        _R,
        "that no academic session is above itself",
        "Two terms are each above the other. Correct one of them.",
    ),
    Gate(
        "emptied-file",
        _R,
        "rows in a file that had some before",
        "A file is empty that was not empty before. Nobody is removed because of an empty file.",
        can_be_allowed=True,
    ),
    Gate(
        "not-this-customer",
        _R,
        "whether anything in it belongs to the customer's org",
        "This looks like another institution's file.",
    ),
    Gate(
        "other-source-system",
        _R,
        "source.systemCode of the manifest against that of the last good roster",
        "The file comes from another school information system than the last one.",
        can_be_allowed=True,
    ),
    Gate(
        "delta-without-whole",
        _R,
        "whether a whole roster came before the first changes",
        "The file holds only changes, and there is no whole roster yet that they could change.",
    ),
    # Compared with the last good roster.
    Gate(
        "row-count-drop",
        _H,
        "rows of each file, at most 20 % fewer than in the last good roster",
        "The file is much shorter than the last one. Most likely something was left out of the export.",
        can_be_allowed=True,
    ),
    Gate(
        "stale-source",
        _H,
        "the source's own times against those of the last good roster",
        "The file is older than the one that was used last.",
        can_be_allowed=True,
    ),
    Gate(
        "optional-file-missing",
        _H,
        "files that came along last time",
        "A file is missing that came along last time, so what it told is unknown now.",
        can_be_allowed=True,
    ),
    Gate(
        "org-vanished",
        _H,
        "orgs that people or classes belong to",
        "A school is not in the file any more although people belong to it.",
        can_be_allowed=True,
    ),
    Gate(
        "root-changed",
        _H,
        "the org above all others",
        "The institution at the top of the file is another one than last time.",
        can_be_allowed=True,
    ),
    # What many rows say.
    Gate(
        "many-unknown-roles",
        _H,
        "rows with a role that is not OneRoster's, at most 2 %",
        "Many people have a role that is not known here.",
        can_be_allowed=True,
    ),
    Gate(
        "many-newly-disabled",
        _H,
        "people who may sign in now and are not enabled in the roster, at most 20 %",
        "Many people would not be able to sign in any more. Most likely a column was exported wrongly.",
        can_be_allowed=True,
    ),
    Gate(
        "many-dangling-references",
        _H,
        "enrollments whose person or class is not there, at most 2 %",
        "Many enrollments name people or classes that are not in the file. Its parts are probably not of one export.",
        can_be_allowed=True,
    ),
    Gate(
        "keys-damaged",
        _H,
        "identifiers that a spreadsheet changed, at most 5 %",
        "A spreadsheet has probably changed the numbers of people: zeros at their beginning are gone.",
        can_be_allowed=True,
    ),
)

GATES: dict[str, Gate] = {gate.code: gate for gate in _GATES}
ALLOWABLE_GATES = tuple(gate.code for gate in _GATES if gate.can_be_allowed)
