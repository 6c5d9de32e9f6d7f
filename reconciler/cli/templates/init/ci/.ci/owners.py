"""CODEOWNERS: who has to agree to a file. The last line that fits counts; sections are not read here."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

CODEOWNERS_PLACES = (".github/CODEOWNERS", ".gitlab/CODEOWNERS", "CODEOWNERS", "docs/CODEOWNERS")

Rule = tuple[re.Pattern[str], list[str]]


def read_rules(root: Path) -> list[Rule]:
    """Of the trusted checkout: a proposal must not choose its own reviewers. Raises SystemExit on a section."""
    file = next((root / place for place in CODEOWNERS_PLACES if (root / place).is_file()), None)
    found: list[Rule] = []
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines() if file else [], 1):
        words = line.split("#", 1)[0].split()
        if words and words[0].startswith(("[", "^[")):
            raise SystemExit(f"error: {file}:{number}: sections are not read here; write one line for each path")
        if words:
            found.append((_compile_pattern(words[0]), words[1:]))
    return found


def find_owners(rules: Iterable[Rule], path: str) -> list[str]:
    """Of one file: `@person`, `@org/team` or an address, as written. Empty where nobody is named."""
    found: list[str] = []
    for pattern, people in rules:
        if pattern.fullmatch(path):
            found = people
    return found


def _compile_pattern(text: str) -> re.Pattern[str]:
    """As .gitignore has them: a slash that is not the last letter ties it to the top; a folder means all below."""
    tied = "/" in text.rstrip("/")
    parts = re.split(r"(\*\*/|\*\*|\*|\?)", text.strip("/"))
    words = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    middle = "".join(words.get(part, re.escape(part)) for part in parts)
    below = "/.*" if text.endswith("/") else "" if text.endswith("/*") else "(?:/.*)?"
    return re.compile(("" if tied else "(?:.*/)?") + middle + below, re.DOTALL)
