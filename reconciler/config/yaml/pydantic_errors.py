"""What pydantic says of a document, as diagnostics at the places where the document was written.

Only the kind of an error, its path and its own facts are asked for, never the input. What was written is
named only for choices, numbers and days, from the tree, and never below a key that may hold a secret.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any
from zoneinfo import available_timezones

from pydantic import BaseModel, ValidationError

from reconciler.config.fields.secret import SECRET_KEYS
from reconciler.config.fields.values import PATTERNS
from reconciler.config.load.partial import broken_rules, near_unknown
from reconciler.config.models.declaration import BROKEN_RULES, Circumstances, Problem
from reconciler.config.yaml.model_keys import field_at, shape_at, tag_of
from reconciler.config.yaml.reader import KEY_LIKE
from reconciler.config.yaml.tree import MappingNode, Node, key_span, place_at, value_span
from reconciler.model.diagnostic import Diagnostic, error

Path = tuple[str | int, ...]

SAYABLE = re.compile(r"[A-Za-z0-9_.+-]{1,32}")
#: the kinds of errors of choices, numbers, days and lengths of time, where what was written helps
SAID = frozenset(
    {"invalid-choice", "wrong-type", "invalid-date", "invalid-duration", "greater_than_equal", "less_than_equal"}
)

#: pydantic's type -> (our code, what the value must be; `{}` holds the facts of the error)
TYPES: dict[str, tuple[str, str]] = {
    "string_type": ("wrong-type", "must be a text"),
    "tuple_type": ("wrong-type", "must be a list"),
    "list_type": ("wrong-type", "must be a list"),
    "dict_type": ("wrong-type", "must be a mapping of keys to values"),
    "model_type": ("wrong-type", "must be a mapping of keys to values"),
    "model_attributes_type": ("wrong-type", "must be a mapping of keys to values"),
    "string_too_short": ("invalid-text", "must not be empty"),
    "string_too_long": ("invalid-text", "must be of at most {max_length} characters"),
    "greater_than_equal": ("out-of-range", "must be at least {ge}"),
    "less_than_equal": ("out-of-range", "must be at most {le}"),
    "literal_error": ("invalid-choice", "must be {expected}"),
}

#: (parent key, key) or key -> what to write where it is missing
WHAT_TO_WRITE = {
    "kind": "the first line says what the file describes: kind: customer, community, lesson or defaults",
    "host_key": "`reconciler roster probe sftp://HOST` prints it; compare it with what the server's owner says",
    "agreements": "both are needed, with the days on which the institution accepted them: "
    "agreements: {privacy_policy: YEAR-MM-DD, terms_of_service: YEAR-MM-DD}",
    "privacy_policy": "write the day on which the institution accepted it",
    "terms_of_service": "write the day on which the institution accepted them",
    "administrators": "at least one person of role admin: given_name, family_name, email, username, role",
}


@dataclass(frozen=True, slots=True)
class Excused:
    """What is not told of a document, since the files that it inherits from say it themselves. files: of which
    something is not valid. unread: one of them could not be read at all, so that anything may be missing."""

    files: frozenset[str] = frozenset()
    unread: bool = False


NOTHING_EXCUSED = Excused()


def mistakes(
    problem: ValidationError,
    tree: MappingNode,
    model: type[BaseModel],
    known: Circumstances,
    excused: Excused = NOTHING_EXCUSED,
) -> Iterator[Diagnostic]:
    """Every mistake of one document, each with its place and what to do: of its values, then of its rules."""
    for each in _of_values(problem, tree, model, excused):
        if each.span is None or each.span.file not in excused.files:
            yield each
    for path, broken in broken_rules(model, tree, known):
        if not (excused.unread and broken.absence):
            yield _of_rule(broken, path, tree)


def _of_values(
    problem: ValidationError, tree: MappingNode, model: type[BaseModel], excused: Excused
) -> Iterator[Diagnostic]:
    for found in problem.errors(include_input=False, include_url=False):
        path: Path = found["loc"]
        facts: Mapping[str, Any] = found.get("ctx", {})
        if found["type"] == BROKEN_RULES:
            continue
        if found["type"] == "missing":
            if not _excused(path, tree, model, excused):
                yield _missing(path, tree, model)
        elif found["type"] == "extra_forbidden":
            yield _unknown(path, tree, model)
        elif found["type"] in ("union_tag_invalid", "union_tag_not_found"):
            tag = str(facts["discriminator"]).strip("'")
            if found["type"] == "union_tag_not_found" and _excused((*path, tag), tree, model, excused):
                continue
            yield _of_tag(found["type"], path, facts, tree, model)
        else:
            yield _of_value(found["type"], found["msg"], path, facts, tree, model)


def _of_rule(broken: Problem, path: Path, tree: MappingNode) -> Diagnostic:
    whole = path + broken.at
    place, _, found = place_at(tree, whole)
    # a rule that names no key, or one that is not written, is about the thing as a whole: its key
    at_value = bool(broken.at) and bool(found) and found[-1] == broken.at[-1]
    return error(broken.code, broken.message, value_span(place) if at_value else key_span(place), broken.hint)


def _excused(path: Path, tree: MappingNode, model: type[BaseModel], excused: Excused) -> bool:
    """Whether a key may be missing because of a file that is inherited: it was misspelt there, or not read."""
    if excused.unread:
        return True
    _, node, _ = place_at(tree, path[:-1])
    if not isinstance(node, MappingNode):
        return False
    meant = near_unknown(shape_at(model, path[:-1]).keys(), node, str(path[-1]))
    return meant is not None and node.places[meant][0] in excused.files


def _missing(path: Path, tree: MappingNode, model: type[BaseModel]) -> Diagnostic:
    key = str(path[-1])
    place, _, found = place_at(tree, path)
    tag = shape_at(model, path[:-1]).tag
    field = field_at(model, path)
    hint = WHAT_TO_WRITE.get(key) or (field.description if field else None)
    if found and found[-1] == key:
        return error("missing-key", f"{key} is needed, and is unset here", key_span(place), hint)
    needs = f": {_tag_key(tree, path[:-1])} {tag} needs it" if tag else ""
    return error("missing-key", f"{key} is missing{needs}", key_span(place), hint)


def _tag_key(tree: MappingNode, path: Path) -> str:
    _, _, found = place_at(tree, path)
    names = [part for part in found if isinstance(part, str)]
    return f"{names[-1]} type" if names else "type"


def _unknown(path: Path, tree: MappingNode, model: type[BaseModel]) -> Diagnostic:
    place, _, found = place_at(tree, path)
    key = str(path[-1])
    where = key_span(place)
    if _is_secret(found[:-1]) or not KEY_LIKE.fullmatch(key):
        return error("unknown-key", "unknown key", where, "this key means nothing here")
    shape = shape_at(model, path[:-1])
    owners = [tag for tag, sibling in shape.siblings.items() if key in sibling.model_fields]
    if owners:
        of = _tag_key(tree, path[:-1])
        return error(
            "key-of-another-type",
            f"{key} belongs to {of} {' and '.join(owners)}, not to {shape.tag}",
            where,
            f"leave it out, or change type to {' or '.join(owners)}",
        )
    near = get_close_matches(key, shape.keys(), n=1)
    hint = f"did you mean {near[0]}?" if near else "known here: " + ", ".join(sorted(shape.keys()))
    return error("unknown-key", f"unknown key {key}", where, hint)


def _of_tag(kind: str, path: Path, facts: Mapping[str, Any], tree: MappingNode, model: type[BaseModel]) -> Diagnostic:
    choices = [tag_of(each) for each in shape_at(model, path).models]
    key = str(facts["discriminator"]).strip("'")
    place, node, _ = place_at(tree, path)
    if isinstance(node, MappingNode) and key in node:
        return _choice(key, choices, (*path, key), tree, None)
    return error("missing-key", f"{key} is missing", key_span(place), f"one of {', '.join(choices)}")


def _of_value(
    kind: str, words: str, path: Path, facts: Mapping[str, Any], tree: MappingNode, model: type[BaseModel]
) -> Diagnostic:
    place, node, found = place_at(tree, path)
    field = field_at(model, path)
    if kind == "invalid-choice":
        return _choice(_name(found), facts["choices"], path, tree, field.description if field else None)
    if kind == "string_pattern_mismatch":
        code, must = PATTERNS[facts["pattern"]]
    elif kind in TYPES:
        code, must = TYPES[kind][0], TYPES[kind][1].format(**facts)
    else:
        code, must = kind, words
    if facts.get("whole"):
        return error(code, must, value_span(place))
    return error(code, f"{_name(found)} {must}{_got(kind, found, node)}", value_span(place), _hint(code, node))


def _choice(name: str, choices: Sequence[str], path: Path, tree: MappingNode, description: str | None) -> Diagnostic:
    place, node, found = place_at(tree, path)
    got = _got("invalid-choice", found, node)
    cutoff = 0.4 if len(choices) <= 6 else 0.6
    near = get_close_matches(node.lower(), choices, n=1, cutoff=cutoff) if got and isinstance(node, str) else []
    hint = " ".join(filter(None, [f"did you mean {near[0]}?" if near else "", description or ""]))
    must = f"one of {', '.join(choices)}" if len(choices) > 1 else choices[0]
    return error("invalid-choice", f"{name} must be {must}{got}", value_span(place), hint or None)


def _hint(code: str, node: Node) -> str | None:
    if code == "wrong-type" and isinstance(node, str) and node.lower() in ("yes", "no", "on", "off"):
        return f"in YAML 1.2 {node} is a text; write true or false"
    if code == "invalid-host-key":
        return WHAT_TO_WRITE["host_key"]
    if code == "invalid-timezone" and isinstance(node, str):
        return _near_timezone(node)
    return None


def _near_timezone(given: str) -> str | None:
    """By the whole name, or by the city alone."""
    wanted = given.strip().lower().replace(" ", "_")
    zones = sorted(available_timezones())
    names = {zone.rpartition("/")[2].lower(): zone for zone in zones} | {zone.lower(): zone for zone in zones}
    near = get_close_matches(wanted, names, n=1, cutoff=0.8)
    return f"did you mean {names[near[0]]}?" if near else None


def _name(found: Path) -> str:
    """`name`, or `protect item 2`; the document itself where the path is empty."""
    names = [part for part in found if isinstance(part, str)]
    if not names:
        return "the document"
    return f"{names[-1]} item {found[-1] + 1}" if isinstance(found[-1], int) else names[-1]


def _got(kind: str, found: Path, node: Node) -> str:
    if kind not in SAID or _is_secret(found) or not isinstance(node, str) or not SAYABLE.fullmatch(node):
        return ""
    return f" (got {node})"


def _is_secret(found: Path) -> bool:
    return any(part in SECRET_KEYS for part in found)
