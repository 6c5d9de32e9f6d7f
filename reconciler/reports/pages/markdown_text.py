"""Escape untrusted text in the Markdown of GitHub and GitLab, so that it is shown as it is and has no effect.

A value is put into a code span, where neither Markdown nor its extensions (mentions, issue numbers, commits,
mathematics, emoji, bare addresses) take effect; the two characters that could leave the span or its table cell are
shown as escapes. Text of plain words stays plain. Templates escape everything that is not Markup: put texts side by
side, never join them by `~` or the filter `join`, which escape for HTML only.
"""

import html
import re
from collections.abc import Callable

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from reconciler.reports.plan.terminal import clean_text

#: most characters of a value; the JSON has all
LONGEST = 120

#: characters that end a code span or a table cell, with their escapes
_LEAVING = {"`": "\\u0060", "|": "\\u007c"}

_WORD = r"[^\W_]+"
_PLAIN = re.compile(rf"\(?{_WORD}(?:['’-]{_WORD}|(?<=\d)[,:](?=\d){_WORD})*\)?[,.;:%]?\)?|[·→…]")
#: words that GitHub reads as a commit or an issue, and words that Markdown reads as a list item
_MEANING = re.compile(r"(?i)\b(?:[0-9a-f]{7,}\b|gh-\d)")
_NUMBERED = re.compile(r"\d+[.)]")


def escape_markdown(value: object) -> Markup:
    """Return plain words unchanged, and any other text as `code`. Leaves Markup unchanged; gives numbers commas."""
    if isinstance(value, Markup):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return Markup(f"{value:,}")
    text = str(value)
    return Markup(text) if is_plain(text) else format_code_span(text)


def format_code_span(value: object, most: int = LONGEST) -> Markup:
    """Return a code span on one line, shortened to `most` characters; `(empty)` for an empty text."""
    text = truncate_text(str(value), most)
    if not text:
        return Markup("(empty)")
    text = "".join(_LEAVING.get(each, each) for each in text)
    edged = text[0] == " " or text[-1] == " "
    return Markup(f"` {text} `" if edged else f"`{text}`")


def format_html_code(value: object, most: int = LONGEST) -> Markup:
    """Return an HTML code element, for a line of raw HTML, in which Markdown has no effect."""
    return Markup(f"<code>{html.escape(truncate_text(str(value), most))}</code>")


def is_plain(text: str) -> bool:
    """Return whether nothing in the text can be Markdown, a reference or an address; also true for an empty text."""
    if not text:
        return True
    return not _NUMBERED.match(text) and all(
        _PLAIN.fullmatch(word) and not _MEANING.search(word) for word in text.split(" ")
    )


def truncate_text(text: str, most: int) -> str:
    """Return the text on one line with at most `most` characters, with an ellipsis at the end if it was cut."""
    shown = clean_text(text[: most + 1])
    return shown if len(text) <= most and len(shown) <= 2 * most else shown[: most - 1].rstrip() + "…"


# Templates that escape everything except Markup.


def create_template_environment(
    finalize: Callable[[object], object], *, keep_trailing_newline: bool = False
) -> Environment:
    """Return the environment of the report templates, in which an undefined name is an error.

    finalize: converts a value before it is escaped."""
    return Environment(
        loader=PackageLoader("reconciler.reports"),
        autoescape=True,
        finalize=finalize,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=keep_trailing_newline,
    )
