"""The documentation's page about the letter, made of its tables: `python -m reconciler.oneroster.strict.page`."""

from __future__ import annotations

from itertools import groupby

from reconciler.model.diagnostic import Severity
from reconciler.oneroster.strict.findings import MOST_LISTED
from reconciler.oneroster.strict.rules import REFUSALS, RULES, Rule
from reconciler.oneroster.strict.tables import TABLES, StrictColumn, StrictType

INTRODUCTION = f"""\
# The letter of OneRoster

`reconciler roster check FILE --strict` holds a bundle against the OneRoster CSV standard, version 1.1 or 1.2 as its
`manifest.csv` says, in every file of the standard: also those that a sync never reads. What a sync reads all the same
(columns in another order, `TRUE`, a folder in the archive...) deviates from the letter and is listed.

Every deviation is counted. Of each rule the first {MOST_LISTED} are listed with file, line and column, and how many
more there are; `--all` lists all of them, `--format json` prints them for programs. A column counts fields from 1. No
value of a row is repeated, so that neither a name nor a password ends up in a log. Exit code 1: there is a deviation
that is an error, or the bundle is refused as it is without `--strict`.

Which records are checked against which: what a **bulk** file refers to has to be in the same archive. What a **delta**
file refers to, and what is referred to in one, may have been sent earlier: it is never missing.

## Rules

The rule is the name that other checkers of OneRoster use. Its part is that of the standard: the OneRoster CSV Tables
1.1 (1.1.1) and the OneRoster CSV Binding 1.2 (1.2.1) of 1EdTech.
"""

REFUSED = """\
## Refused archives

Not of the standard, but of anybody who opens archives of others. These codes are the same without `--strict`. What is
left of such an archive is still checked where that is safe.

| code | why |
| --- | --- |
"""

COLUMNS = """\
## Columns

What is listed is no plain text. **Bold**: a value is required. `[]`: a list. `→`: refers to that file. Words in
italics may be extended by `ext:` words. Every file begins with **sourcedId** (a sourcedId), status (active,
tobedeleted) and dateLastModified (a time).
"""


def render_page() -> str:
    """Markdown."""
    parts = [INTRODUCTION]
    for source, rules in groupby(RULES.values(), key=lambda rule: rule.source):
        parts.append(f"### {source}\n\n| code | rule | the standard asks |\n| --- | --- | --- |")
        parts += [_render_rule(rule) for rule in rules]
        parts.append("")
    parts.append(REFUSED + "\n".join(f"| `{code}` | {why} |" for code, why in REFUSALS.items()) + "\n")
    parts.append(COLUMNS)
    for version, tables in TABLES.items():
        parts.append(f"### OneRoster {version}\n\n| file | columns |\n| --- | --- |")
        for table in tables.values():
            said = [_render_column(column) for column in table.columns[3:] if column.is_checked]
            first = [f"sourcedId → {table.columns[0].target}"] if table.columns[0].target else []
            parts.append(f"| {table.file} | {' · '.join(first + said)} |")
        parts.append("")
    return "\n".join(parts).rstrip("\n") + "\n"


def _render_rule(rule: Rule) -> str:
    weight = "" if rule.severity is Severity.ERROR else f" ({rule.severity})"
    return f"| `{rule.code}`{weight} | `{rule.name}` | {rule.requirement} |"


def _render_column(column: StrictColumn) -> str:
    name = f"**{column.name}**" if column.required else column.name
    name += "[]" if column.is_list else ""
    if column.target is not None:
        return f"{name} → {column.target}"
    if column.type is StrictType.ENUMERATION:
        words = ", ".join(column.words)
        return f"{name} ({f'*{words}*' if column.extensible else words})"
    return name if column.type is StrictType.TEXT else f"{name} ({column.type.value})"


if __name__ == "__main__":
    print(render_page(), end="")
