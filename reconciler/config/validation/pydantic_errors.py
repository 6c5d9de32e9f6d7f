"""Translates pydantic's errors to diagnostics at the places where the document was written.

It reads only an error's type, path and context, never its input. A message quotes a value of the tree only if it is a
choice, number or date, and never below a key that may hold a secret.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any
from zoneinfo import available_timezones

from pydantic import ValidationError

from reconciler.config.fields.values import HIDDEN_CHARACTER, PATTERNS, describe_hidden_character
from reconciler.config.models.declaration import BROKEN_RULES, RuleViolation, ValidationContext
from reconciler.config.models.secret import SECRET_KEYS
from reconciler.config.validation.model_keys import KeyPath, ModelClass, find_field, find_shape, get_tag
from reconciler.config.validation.partial_document import find_misspelled_key, find_rule_violations
from reconciler.config.validation.synonyms import KEY_SYNONYMS, VALUE_SYNONYMS
from reconciler.config.yaml.reader import HIDDEN_CHARACTER_HINT, KEY_LIKE
from reconciler.config.yaml.tree import MappingNode, Node, find_place, get_key_span, get_value_span
from reconciler.model.diagnostic import Diagnostic, build_error
from reconciler.model.suggestion import find_intended_name

QUOTABLE_VALUE_PATTERN = re.compile(r"[A-Za-z0-9_.+-]{1,32}")
#: types of errors in choices, numbers, dates and durations, whose messages quote the value
KINDS_THAT_SHOW_VALUE = frozenset(
    {"invalid-choice", "wrong-type", "invalid-date", "invalid-duration", "greater_than_equal", "less_than_equal"}
)
#: types of errors in texts that programs compare: an invisible character in one explains the error
KINDS_OF_COMPARED_TEXT = KINDS_THAT_SHOW_VALUE | {
    HIDDEN_CHARACTER,
    "invalid-host-key",
    "invalid-network",
    "invalid-origin",
    "invalid-timezone",
    "invalid-url",
    "string_pattern_mismatch",
    "unknown-format",
}

#: pydantic's type -> (code of the diagnostic, what the value must be, with `{}` for the error's context)
PYDANTIC_ERROR_TYPES: dict[str, tuple[str, str]] = {
    "string_type": ("wrong-type", "must be a string"),
    "tuple_type": ("wrong-type", "must be a list"),
    "list_type": ("wrong-type", "must be a list"),
    "dict_type": ("wrong-type", "must be a mapping of keys to values"),
    "model_type": ("wrong-type", "must be a mapping of keys to values"),
    "model_attributes_type": ("wrong-type", "must be a mapping of keys to values"),
    "string_too_short": ("invalid-text", "must not be empty"),
    "string_too_long": ("invalid-text", "must have at most {max_length} characters"),
    "greater_than_equal": ("out-of-range", "must be at least {ge}"),
    "less_than_equal": ("out-of-range", "must be at most {le}"),
    "literal_error": ("invalid-choice", "must be {expected}"),
}

#: key -> hint if it is missing
MISSING_KEY_HINTS = {
    "kind": "Start the file with its kind: customer, community, lesson or defaults.",
    "host_key": "Print it with `reconciler roster probe sftp://HOST`, and confirm it with the server's owner.",
    "agreements": "Add the dates on which the institution accepted both: "
    "agreements: {privacy_policy: YYYY-MM-DD, terms_of_service: YYYY-MM-DD}",
    "privacy_policy": "Add the date on which the institution accepted it.",
    "terms_of_service": "Add the date on which the institution accepted them.",
    "administrators": "Add at least one person with role: admin. "
    "Each needs given_name, family_name, email, username and role.",
}


@dataclass(frozen=True, slots=True)
class ErrorSuppression:
    """Errors that are not reported for a document, because the files that it inherits from report them."""

    #: inherited files with invalid values
    files: frozenset[str] = frozenset()
    #: True if an inherited file could not be read, so that any key may be missing
    unread: bool = False


NO_SUPPRESSION = ErrorSuppression()


def translate_validation_errors(
    problem: ValidationError,
    tree: MappingNode,
    model: ModelClass,
    context: ValidationContext,
    suppression: ErrorSuppression = NO_SUPPRESSION,
) -> Iterator[Diagnostic]:
    """Yield every mistake of a document, each with its place and a hint: first of its values, then of its rules."""
    for each in _translate_value_errors(problem, tree, model, suppression):
        if each.span is None or each.span.file not in suppression.files:
            yield each
    for path, broken in find_rule_violations(model, tree, context):
        if not (suppression.unread and broken.is_absence):
            yield _translate_rule_violation(broken, path, tree)


def _translate_value_errors(
    problem: ValidationError, tree: MappingNode, model: ModelClass, suppression: ErrorSuppression
) -> Iterator[Diagnostic]:
    for error in problem.errors(include_input=False, include_url=False):
        path: KeyPath = error["loc"]
        facts: Mapping[str, Any] = error.get("ctx", {})
        if error["type"] == BROKEN_RULES:
            continue
        if error["type"] == "missing":
            if not _is_suppressed(path, tree, model, suppression):
                yield _describe_missing_key(path, tree, model)
        elif error["type"] == "extra_forbidden":
            yield _describe_unknown_key(path, tree, model)
        elif error["type"] in ("union_tag_invalid", "union_tag_not_found"):
            tag = str(facts["discriminator"]).strip("'")
            if error["type"] == "union_tag_not_found" and _is_suppressed((*path, tag), tree, model, suppression):
                continue
            yield _describe_tag_error(error["type"], path, facts, tree, model)
        else:
            yield _describe_value_error(error["type"], error["msg"], path, facts, tree, model)


def _translate_rule_violation(broken: RuleViolation, path: KeyPath, tree: MappingNode) -> Diagnostic:
    place, _, existing = find_place(tree, path + broken.key_path)
    # A rule that names no key, or a missing one, is about the whole mapping: its key.
    at_value = bool(broken.key_path) and bool(existing) and existing[-1] == broken.key_path[-1]
    return build_error(
        broken.code, broken.message, get_value_span(place) if at_value else get_key_span(place), broken.hint
    )


def _is_suppressed(path: KeyPath, tree: MappingNode, model: ModelClass, suppression: ErrorSuppression) -> bool:
    """Return whether an inherited file explains a missing key: it is misspelled there, or the file was not read."""
    if suppression.unread:
        return True
    _, node, _ = find_place(tree, path[:-1])
    if not isinstance(node, MappingNode):
        return False
    misspelled = find_misspelled_key(find_shape(model, path[:-1]).get_fields(), node, str(path[-1]))
    return misspelled is not None and node.places[misspelled][0] in suppression.files


def _describe_missing_key(path: KeyPath, tree: MappingNode, model: ModelClass) -> Diagnostic:
    key = str(path[-1])
    place, _, existing = find_place(tree, path)
    tag = find_shape(model, path[:-1]).tag
    field = find_field(model, path)
    hint = MISSING_KEY_HINTS.get(key) or (field.description if field else None)
    if existing and existing[-1] == key:
        return build_error("missing-key", f"{key} is required, but is set to null here", get_key_span(place), hint)
    requirement = f"; {_format_tag_key(tree, path[:-1])} {tag} requires it" if tag else ""
    return build_error("missing-key", f"{key} is missing{requirement}", get_key_span(place), hint)


def _format_tag_key(tree: MappingNode, path: KeyPath) -> str:
    _, _, existing = find_place(tree, path)
    names = [part for part in existing if isinstance(part, str)]
    return f"{names[-1]} type" if names else "type"


def _describe_unknown_key(path: KeyPath, tree: MappingNode, model: ModelClass) -> Diagnostic:
    place, _, existing = find_place(tree, path)
    key = str(path[-1])
    where = get_key_span(place)
    if _is_secret_path(existing[:-1]) or not KEY_LIKE.fullmatch(key):
        return build_error("unknown-key", "unknown key", where, "Remove it; this key is not valid here.")
    shape = find_shape(model, path[:-1])
    owners = [tag for tag, sibling in shape.siblings.items() if key in sibling.model_fields]
    if owners:
        of = _format_tag_key(tree, path[:-1])
        return build_error(
            "key-of-another-type",
            f"{key} belongs to {of} {' and '.join(owners)}, not to {shape.tag}",
            where,
            f"Remove it, or change type to {' or '.join(owners)}.",
        )
    meant = find_intended_name(key, shape.get_fields(), KEY_SYNONYMS)
    hint = f"Did you mean {meant}?" if meant else "Valid keys: " + ", ".join(sorted(shape.get_fields()))
    return build_error("unknown-key", f"unknown key {key}", where, hint)


def _describe_tag_error(
    kind: str, path: KeyPath, facts: Mapping[str, Any], tree: MappingNode, model: ModelClass
) -> Diagnostic:
    choices = [get_tag(each) for each in find_shape(model, path).models]
    key = str(facts["discriminator"]).strip("'")
    place, node, _ = find_place(tree, path)
    if isinstance(node, MappingNode) and key in node:
        return _describe_invalid_choice(key, choices, (*path, key), tree, None)
    return build_error("missing-key", f"{key} is missing", get_key_span(place), f"Choose one of {', '.join(choices)}.")


def _describe_value_error(
    kind: str, words: str, path: KeyPath, facts: Mapping[str, Any], tree: MappingNode, model: ModelClass
) -> Diagnostic:
    place, node, existing = find_place(tree, path)
    field = find_field(model, path)
    hidden = describe_hidden_character(node) if isinstance(node, str) and kind in KINDS_OF_COMPARED_TEXT else None
    if hidden is not None:
        return build_error(
            HIDDEN_CHARACTER, f"{_format_name(existing)} {hidden}", get_value_span(place), HIDDEN_CHARACTER_HINT
        )
    if kind == "invalid-choice":
        return _describe_invalid_choice(
            _format_name(existing), facts["choices"], path, tree, field.description if field else None
        )
    if kind == "string_pattern_mismatch":
        code, must = PATTERNS[facts["pattern"]]
    elif kind in PYDANTIC_ERROR_TYPES:
        code, must = PYDANTIC_ERROR_TYPES[kind][0], PYDANTIC_ERROR_TYPES[kind][1].format(**facts)
    else:
        code, must = kind, words
    if facts.get("whole"):
        return build_error(code, must, get_value_span(place))
    return build_error(
        code,
        f"{_format_name(existing)} {must}{_format_written_value(kind, existing, node)}",
        get_value_span(place),
        _find_hint(code, node),
    )


def _describe_invalid_choice(
    name: str, choices: Sequence[str], path: KeyPath, tree: MappingNode, description: str | None
) -> Diagnostic:
    place, node, existing = find_place(tree, path)
    got = _format_written_value("invalid-choice", existing, node)
    meant = find_intended_name(node, choices, VALUE_SYNONYMS) if got and isinstance(node, str) else None
    hint = " ".join(filter(None, [f"Did you mean {meant}?" if meant else "", description or ""]))
    must = f"one of {', '.join(choices)}" if len(choices) > 1 else choices[0]
    return build_error("invalid-choice", f"{name} must be {must}{got}", get_value_span(place), hint or None)


def _find_hint(code: str, node: Node) -> str | None:
    if code == "wrong-type" and isinstance(node, str) and node.lower() in ("yes", "no", "on", "off"):
        return f"YAML 1.2 reads {node} as a string. Write true or false."
    if code == "invalid-host-key":
        return MISSING_KEY_HINTS["host_key"]
    if code == "leading-zero" and isinstance(node, str):
        return f"Write {int(node)}."
    if code == "invalid-timezone" and isinstance(node, str):
        return _suggest_timezone(node)
    return None


def _suggest_timezone(value: str) -> str | None:
    """Return a hint for a misspelled time zone, by its whole name or its city alone."""
    wanted = value.strip().lower().replace(" ", "_")
    zones = sorted(available_timezones())
    names = {zone.rpartition("/")[2].lower(): zone for zone in zones} | {zone.lower(): zone for zone in zones}
    near = get_close_matches(wanted, names, n=1, cutoff=0.8)
    return f"Did you mean {names[near[0]]}?" if near else None


def _format_name(existing: KeyPath) -> str:
    """Return `name`, or `protect item 2`; `the document` for an empty path."""
    names = [part for part in existing if isinstance(part, str)]
    if not names:
        return "the document"
    return f"{names[-1]} item {existing[-1] + 1}" if isinstance(existing[-1], int) else names[-1]


def _format_written_value(kind: str, existing: KeyPath, node: Node) -> str:
    if (
        kind not in KINDS_THAT_SHOW_VALUE
        or _is_secret_path(existing)
        or not isinstance(node, str)
        or not QUOTABLE_VALUE_PATTERN.fullmatch(node)
    ):
        return ""
    return f" (got {node})"


def _is_secret_path(existing: KeyPath) -> bool:
    return any(part in SECRET_KEYS for part in existing)
