"""Show people in a report by name, by pseudonym, or by sourcedId without names."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import PurePosixPath
from typing import TypeAlias

from reconciler.config.fields import mask_url
from reconciler.model.change import Change, FieldChange
from reconciler.model.diagnostic import Diagnostic
from reconciler.model.ids import CustomerId
from reconciler.model.kind import Kind
from reconciler.model.weakening import Protection, Weakening


class PeopleVisibility(StrEnum):
    #: everything
    FULL = "full"
    #: a keyed pseudonym for every person and enrollment
    MASKED = "masked"
    #: sourcedIds without names
    IDS = "ids"


#: (kind, customer ID, key) to a pseudonym `P-XXXXXXXX`: the same within a store, and `explain` resolves it
Mask: TypeAlias = Callable[[Kind, CustomerId, str], str]

#: replaces a personal value that is set
HIDDEN = "•••"

#: roster files whose rows are about people, so that a diagnostic about a row may name one
PERSONAL_FILES = frozenset({"users", "enrollments", "roles", "demographics", "userprofiles", "userresources"})

#: codes whose messages contain counts, the standard's column names and file names, and nothing from a row
IMPERSONAL_CODES = frozenset(
    {
        "ambiguous-match",
        "byte-order-mark",
        "control-character-in-header",
        "emptied-file",
        "empty-header",
        "empty-row",
        "erased-person",
        "erased-person-in-roster",
        "extension-role",
        "garbled-text",
        "header-order",
        "huge-field",
        "huge-header",
        "huge-row",
        "identity-conflict",
        "inactive-status",
        "keys-alike",
        "many-dangling-references",
        "missing-column",
        "duplicate-username",
        "missing-value",
        "ragged-row",
        "refers-to-row-set-aside",
        "repeated-row",
        "reversed-dates",
        "several-accounts",
        "several-primary-roles",
        "shared-email",
        "shared-identifier",
        "spreadsheet-number",
        "status-in-bulk",
        "surrounding-spaces",
        "too-many-malformed-rows",
        "truncated-file",
        "unbalanced-quote",
        "username-taken",
        "value-spelling",
        "wrong-delimiter",
        "wrong-encoding",
        "wrong-file-header",
    }
)

#: of these, the codes whose hint repeats the header: in a file without one, that is the first person's row
HINT_REPEATS_HEADER = frozenset({"missing-column"})

#: the setting that lists people by sourcedId
PROTECT = "rostering.protect"
#: the setting that names the people of two accounts to merge, with a reason in free text
MERGES = "rostering.merges"

#: the last parts of an administrator's path; the username precedes them
_ADMINISTRATOR = re.compile(
    r"administrators\.(?P<username>.+?)"
    r"(?P<field>\.(?:given_name|family_name|email|username|role|password(?:\.secret)?))?"
)
#: the path of a URL that may let everybody who knows it post, and of the mapping around it
_WEBHOOK = "notify.webhook"
_NOTIFY = "notify"
_PERSONAL_OF_ADMINISTRATOR = (None, ".given_name", ".family_name", ".email", ".username")


def is_personal_field(field: FieldChange) -> bool:
    """Return whether a field's path or values identify a person, so that masking makes it differ between customers."""
    path = field.path
    return field.personal or path in (PROTECT, MERGES, "administrators") or path.startswith("administrators.")


def mask_webhook_urls(field: FieldChange) -> FieldChange:
    """Return a changed field with nothing of a webhook's URL but its host, whoever sees the report."""
    if field.path not in (_NOTIFY, _WEBHOOK):
        return field
    return replace(field, before=_mask_webhook(field.before), after=_mask_webhook(field.after))


@dataclass(frozen=True, slots=True)
class CustomerView:
    """Masks one customer's data as a report may show it."""

    people: PeopleVisibility
    mask: Mask
    customer: CustomerId

    def mask_key(self, kind: Kind, key: str) -> str:
        """Return a sourcedId or document ID as it may be shown. Only people and enrollments are ever masked."""
        if self.people is not PeopleVisibility.MASKED or kind not in (Kind.USER, Kind.ENROLLMENT):
            return key
        pseudonym = self.mask(kind, self.customer, key)
        return f"E-{pseudonym.removeprefix('P-')}" if kind is Kind.ENROLLMENT else pseudonym

    def mask_label(self, kind: Kind, key: str, label: str) -> str:
        """Return a label as it may be shown: the key of a person if names are hidden."""
        if kind is Kind.USER and self.people is not PeopleVisibility.FULL:
            return self.mask_key(kind, key)
        return label

    def mask_field(self, change: FieldChange, reference: Kind | None = None) -> FieldChange:
        """Return a changed field as it may be shown. reference: the kind whose sourcedIds the values are, if any."""
        change = mask_webhook_urls(change)
        if reference is not None:
            return replace(
                change,
                before=self._mask_reference(reference, change.before),
                after=self._mask_reference(reference, change.after),
            )
        if self.people is PeopleVisibility.FULL:
            return change
        if change.path == PROTECT:
            return replace(change, before=self._mask_keys(change.before), after=self._mask_keys(change.after))
        path, personal = self._mask_path(change.path, change.personal or change.path == MERGES)
        if not personal:
            return replace(change, path=path)
        return FieldChange(path, _hide_value(change.before), _hide_value(change.after), personal=True)

    def mask_change(self, change: Change) -> Change:
        """Return a change of a document as it may be shown; the only people in it are administrators."""
        return replace(change, fields=tuple(self.mask_field(field) for field in change.fields))

    def mask_weakening(self, weakening: Weakening) -> Weakening:
        """Return a weakened protection as it may be shown: only `protect` names people."""
        if self.people is PeopleVisibility.FULL:
            return weakening
        path = PROTECT if weakening.protection is Protection.PROTECT else weakening.path
        shown = self.mask_field(FieldChange(path, weakening.before, weakening.after))
        return replace(weakening, path=shown.path, before=shown.before, after=shown.after)

    def mask_diagnostic(self, diagnostic: Diagnostic) -> Diagnostic:
        """Return a diagnostic without its text if that may name a person; code, file and line stay."""
        span = diagnostic.span
        if self.people is PeopleVisibility.FULL or span is None or not span.line:
            return diagnostic
        file = PurePosixPath(span.file.lower())
        if file.suffix != ".csv" or file.stem not in PERSONAL_FILES:
            return diagnostic
        if diagnostic.code in IMPERSONAL_CODES:
            return replace(diagnostic, hint=None) if diagnostic.code in HINT_REPEATS_HEADER else diagnostic
        words = diagnostic.code.replace("-", " ")
        return replace(diagnostic, message=f"{words} (may name a person; to see it, pass --people full)", hint=None)

    def _mask_reference(self, kind: Kind, value: object) -> object:
        return self.mask_key(kind, value) if isinstance(value, str) else value

    def _mask_keys(self, value: object) -> object:
        if not isinstance(value, list | tuple):
            return self._mask_reference(Kind.USER, value)
        return [self._mask_reference(Kind.USER, each) for each in value]

    def _mask_path(self, path: str, personal: bool) -> tuple[str, bool]:
        """Return the path without an administrator's username, and whether its values are personal."""
        if path == "administrators":
            return path, True
        found = _ADMINISTRATOR.fullmatch(path)
        if found is None:
            return path, personal
        username, field = found["username"], found["field"]
        pseudonym = self.mask(Kind.CUSTOMER, self.customer, username)
        return f"administrators.{pseudonym}{field or ''}", field in _PERSONAL_OF_ADMINISTRATOR


def _mask_webhook(value: object) -> object:
    """Return a webhook, or the mapping that contains it, with nothing of a URL but its host."""
    if isinstance(value, Mapping):
        return {key: _mask_webhook(each) if key == "webhook" else each for key, each in value.items()}
    return mask_url(value) if isinstance(value, str) else value


def _hide_value(value: object) -> str | None:
    return None if value is None else HIDDEN
