"""Somebody else's text within Markdown, so that it reads as it is and means nothing: GitHub's and GitLab's.

A value stands in a code span, where neither Markdown nor what is laid on top of it (mentions, issue numbers, commits,
mathematics, emoji, bare addresses) takes effect; the two characters that could leave the span or its table cell are
shown as escapes. A text of plain words stays plain. In templates everything is escaped that is not Markup: join texts
by putting them side by side, never by `~` or the filter `join`, which escape for HTML only.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from reconciler.reports.plan.terminal import clean_text

#: More of a value than this is in the JSON only.
LONGEST = 120

#: What ends a code span, what ends a table cell.
_LEAVING = {"`": "\\u0060", "|": "\\u007c"}

_WORD = r"[^\W_]+"
_PLAIN = re.compile(rf"\(?{_WORD}(?:['’-]{_WORD}|(?<=\d)[,:](?=\d){_WORD})*\)?[,.;:%]?\)?|[·→…]")
#: What GitHub reads as a commit or an issue, and what Markdown reads as an item of a list.
_MEANING = re.compile(r"(?i)\b(?:[0-9a-f]{7,}\b|gh-\d)")
_NUMBERED = re.compile(r"\d+[.)]")


def escape_markdown(value: object) -> Markup:
    """Plain words as they are, everything else as `code`. Markup is left as it is; a number gets its commas."""
    if isinstance(value, Markup):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return Markup(f"{value:,}")
    text = str(value)
    return Markup(text) if is_plain(text) else format_code_span(text)


def format_code_span(value: object, most: int = LONGEST) -> Markup:
    """A code span on one line, shortened to so many characters. Nothing at all is said in words."""
    text = truncate_text(str(value), most)
    if not text:
        return Markup("(empty)")
    text = "".join(_LEAVING.get(each, each) for each in text)
    edged = text[0] == " " or text[-1] == " "
    return Markup(f"` {text} `" if edged else f"`{text}`")


def format_html_code(value: object, most: int = LONGEST) -> Markup:
    """The same for a line of raw HTML, in which Markdown is not read."""
    return Markup(f"<code>{html.escape(truncate_text(str(value), most))}</code>")


def is_plain(text: str) -> bool:
    """Nothing in it can be Markdown, a reference or an address, wherever it stands. So is nothing at all."""
    if not text:
        return True
    return not _NUMBERED.match(text) and all(
        _PLAIN.fullmatch(word) and not _MEANING.search(word) for word in text.split(" ")
    )


def truncate_text(text: str, most: int) -> str:
    """Visible on one line, at most so many characters; the last of them an ellipsis where something was cut."""
    shown = clean_text(text[: most + 1])
    return shown if len(text) <= most and len(shown) <= 2 * most else shown[: most - 1].rstrip() + "…"


# Templates in which everything is escaped that does not say it need not be.


def create_template_environment(
    finalize: Callable[[object], object], *, keep_trailing_newline: bool = False
) -> Environment:
    """The templates of this room. finalize: what a value becomes before it is escaped; a name that is missing is an
    error."""
    return Environment(
        loader=PackageLoader("reconciler.reports"),
        autoescape=True,
        finalize=finalize,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=keep_trailing_newline,
    )
