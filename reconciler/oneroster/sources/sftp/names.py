"""Names on a server as a terminal can show them: they are whatever somebody called a file there."""

from __future__ import annotations

from collections.abc import Sequence

MOST_LISTED = 10
MOST_LENGTH = 80


def shown(name: str) -> str:
    """No control characters, nothing that turns a line around, not endless."""
    safe = "".join(character if character.isprintable() else "?" for character in name)
    return safe if len(safe) <= MOST_LENGTH else f"{safe[: MOST_LENGTH - 3]}..."


def listed(names: Sequence[str], most: int = MOST_LISTED) -> str:
    """The first few, and how many more there are."""
    text = ", ".join(shown(name) for name in names[:most])
    return text if len(names) <= most else f"{text} and {len(names) - most:,} more"
