"""Find the commands of a page, and fill in their outputs.

In a ```console block, a line that begins with `$ ` is a command, `> ` continues it, and everything else is its output.
A comment `<!-- setup … -->` holds commands that run at that place and are not shown.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

PLAYED = re.compile(r"^```console\n(?P<block>.*?)^```$|^<!-- setup\n(?P<setup>.*?)^-->$", re.DOTALL | re.MULTILINE)

#: what differs from run to run: pseudonyms, times, digests of plans, holds and keys, and how wide a column is for them
VARYING = (
    (re.compile(r"P-[0-9A-F]{8}"), "P-XXXXXXXX"),
    (re.compile(r"\d{4}-\d\d-\d\d([ T]\d\d:\d\d(:\d\d)?Z?)?"), "DAY TIME"),
    (re.compile(r"\b[0-9a-f]{12,64}\b"), "DIGEST"),
    (re.compile(r"SHA256:[A-Za-z0-9+/]+"), "SHA256:XXXXXX"),
    (re.compile(r"\bAAAA[A-Za-z0-9+/=]+"), "HOST KEY"),
    (re.compile(r"([a-z0-9-]+:\d+):[0-9a-f]{6,}"), r"\1:XXXXXX"),
    (re.compile(r"whpk_[A-Za-z0-9+/=]+"), "whpk_XXXXXX"),
    (re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"), "UUID"),
    (re.compile(r"\b\d[\d,.]* (ms|seconds|hours|MiB/s|rows/s)(?!\w)"), "N"),
    (re.compile(r"127\.0\.0\.1:\d+"), "127.0.0.1:PORT"),
    (re.compile(r" {2,}"), "  "),
)


@dataclass(frozen=True, slots=True)
class Command:
    """text: without the prompt; may have several lines. shown: False for one of a setup comment."""

    text: str
    shown: bool
    #: what the page says that it prints, without the last newline
    output: str = ""


def find_commands(page: str) -> list[Command]:
    """Return the commands of a page in order."""
    return [command for match in PLAYED.finditer(page) for command in _parse_commands(match)]


def fill_in(page: str, outputs: Iterator[str]) -> str:
    """Return the page with these outputs, one for each command. An output that differs from the one in the page by
    nothing but what varies is left as it is."""

    def fill_in_block(match: re.Match[str]) -> str:
        lines: list[str] = []
        for command in _parse_commands(match):
            output = next(outputs)
            first, *more = command.text.split("\n")
            lines += [f"$ {first}", *(f"> {line}".rstrip() for line in more)]
            kept = command.output if mask_varying(output) == mask_varying(command.output) else output
            lines += [kept] if kept else []
        return match[0] if match["block"] is None else "```console\n" + "\n".join(lines) + "\n```"

    return PLAYED.sub(fill_in_block, page)


def mask_varying(text: str) -> str:
    """Return the text with stand-ins for what differs from run to run."""
    for pattern, stand_in in VARYING:
        text = pattern.sub(stand_in, text)
    return text


def _parse_commands(match: re.Match[str]) -> list[Command]:
    if match["block"] is None:
        return [Command(match["setup"].rstrip("\n"), shown=False)]
    found: list[Command] = []
    text: list[str] = []
    output: list[str] = []
    for line in [*match["block"].splitlines(), "$ "]:
        if line.startswith("$ ") or line == "$":
            if text:
                found.append(Command("\n".join(text), shown=True, output="\n".join(output)))
            text, output = [line[2:]], []
        elif (line.startswith("> ") or line == ">") and text and not output:
            text.append(line[2:])
        else:
            output.append(line)
    return found
