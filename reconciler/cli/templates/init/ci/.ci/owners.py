"""Read CODEOWNERS: the people who must approve a file. The last matching line counts; sections are not supported."""

import re
from collections.abc import Iterable
from pathlib import Path

CODEOWNERS_PLACES = (".github/CODEOWNERS", ".gitlab/CODEOWNERS", "CODEOWNERS", "docs/CODEOWNERS")

Rule = tuple[re.Pattern[str], list[str]]


def read_rules(root: Path) -> list[Rule]:
    """Read the rules of the trusted checkout, so that a change cannot choose its own reviewers.

    Raises SystemExit on a section."""
    file = next((root / place for place in CODEOWNERS_PLACES if (root / place).is_file()), None)
    rules: list[Rule] = []
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines() if file else [], 1):
        words = line.split("#", 1)[0].split()
        if words and words[0].startswith(("[", "^[")):
            raise SystemExit(f"error: {file}:{number}: sections are not supported; write one line for each path")
        if words:
            rules.append((_compile_pattern(words[0]), words[1:]))
    return rules


def find_owners(rules: Iterable[Rule], path: str) -> list[str]:
    """Return the owners of one file as written: `@person`, `@org/team` or an address. Empty if it has none."""
    owners: list[str] = []
    for pattern, people in rules:
        if pattern.fullmatch(path):
            owners = people
    return owners


def _compile_pattern(text: str) -> re.Pattern[str]:
    """Compile a pattern of .gitignore: a slash before the end anchors it to the root; a folder matches all below."""
    anchored = "/" in text.rstrip("/")
    parts = re.split(r"(\*\*/|\*\*|\*|\?)", text.strip("/"))
    words = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    middle = "".join(words.get(part, re.escape(part)) for part in parts)
    below = "/.*" if text.endswith("/") else "" if text.endswith("/*") else "(?:/.*)?"
    return re.compile(("" if anchored else "(?:.*/)?") + middle + below, re.DOTALL)
