"""Renders the documentation page of the strict check: `python -m reconciler.oneroster.strict.page`."""

from itertools import groupby

from reconciler.model.diagnostic import Severity
from reconciler.oneroster.strict.findings import MOST_LISTED
from reconciler.oneroster.strict.rules import REFUSALS, RULES, Rule
from reconciler.oneroster.strict.tables import TABLES, StrictColumn, StrictType

INTRODUCTION = f"""\
# Strict OneRoster conformance

`reconciler roster check FILE --strict` checks a roster ZIP against the OneRoster CSV standard, version 1.1 or 1.2 as
given in `manifest.csv`. It checks every file of the standard, including files that a sync never reads. It also lists
violations that a sync accepts, such as columns in another order, `TRUE`, or a directory in the archive.

Every violation is counted. For each rule, the first {MOST_LISTED} are listed with file, line and column (fields count
from 1), followed by the number of the others. `--all` lists all of them; `--format json` prints them for programs. No
value of a row is printed, so that names and passwords stay out of logs. Exit code 1 means that there is a violation of
severity error, or that the roster is refused without `--strict` too.

References from a **bulk** file must point to records in the same archive. A record that a **delta** file refers to,
or that should be in one, may have been sent earlier, so it is never reported as missing.

## Rules

The rule is the name that other OneRoster checkers use. Rules are grouped by part of the standard: the OneRoster CSV
Tables 1.1 (1.1.1) and the OneRoster CSV Binding 1.2 (1.2.1) of 1EdTech.
"""

REFUSED = """\
## Refused archives

These checks are not part of the standard; they protect against unsafe archives. The codes are the same without
`--strict`. The files of such an archive are still checked if that is safe.

| code | reason |
| --- | --- |
"""

COLUMNS = """\
## Columns

The tables list all columns that are not plain text. **Bold**: a value is required. `[]`: a list. `→`: refers to that
file. Words in italics may be extended by `ext:` words. Every file begins with **sourcedId** (a sourcedId), status
(active, tobedeleted) and dateLastModified (a time).
"""


def render_strict_page() -> str:
    """Return the page as Markdown."""
    parts = [INTRODUCTION]
    for source, rules in groupby(RULES.values(), key=lambda rule: rule.source):
        parts.append(f"### {source}\n\n| code | rule | requirement |\n| --- | --- | --- |")
        parts += [_render_rule(rule) for rule in rules]
        parts.append("")
    parts.append(REFUSED + "\n".join(f"| `{code}` | {why} |" for code, why in REFUSALS.items()) + "\n")
    parts.append(COLUMNS)
    for version, tables in TABLES.items():
        parts.append(f"### OneRoster {version}\n\n| file | columns |\n| --- | --- |")
        for table in tables.values():
            columns = [_render_column(column) for column in table.columns[3:] if column.is_checked]
            first = [f"sourcedId → {table.columns[0].target}"] if table.columns[0].target else []
            parts.append(f"| {table.file} | {' · '.join(first + columns)} |")
        parts.append("")
    return "\n".join(parts).rstrip("\n") + "\n"


def _render_rule(rule: Rule) -> str:
    severity = "" if rule.severity is Severity.ERROR else f" ({rule.severity})"
    return f"| `{rule.code}`{severity} | `{rule.name}` | {rule.requirement} |"


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
    print(render_strict_page(), end="")
