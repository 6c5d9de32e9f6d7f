"""Parse the body of a form strictly: refuse what two parsers could read in two ways."""

import re
from enum import StrEnum
from urllib.parse import unquote_to_bytes

#: Largest number of bytes of one body. Long descriptions of courses, as LMSs send them, take a few thousand.
MAX_BODY = 65_536
MAX_FIELDS = 250
#: Largest number of bytes of a name as sent
MAX_NAME = 255
#: Largest number of bytes of a value as sent
MAX_VALUE = 16_384
#: The media type of the forms that are parsed here
FORM_TYPE = "application/x-www-form-urlencoded"

_BROKEN_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")
#: Control characters, except tab and line ends: a text field may contain those
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")

Fields = tuple[tuple[str, str], ...]


class FormProblem(StrEnum):
    """Why a form was not accepted."""

    TOO_LARGE = "too-large"
    TOO_MANY_FIELDS = "too-many-fields"
    BROKEN_ESCAPE = "broken-escape"
    NOT_UTF_8 = "not-utf-8"
    CONTROL_CHARACTER = "control-character"
    WRONG_TYPE = "wrong-type"


class UnreadableFormError(Exception):
    """Raised for a form that is not parsed. Its text never contains a value of the form."""

    def __init__(self, problem: FormProblem) -> None:
        super().__init__(problem.value)
        self.problem = problem


def check_form_type(content_type: str) -> None:
    """Raise UnreadableFormError unless a Content-Type header names a form in UTF-8."""
    media_type, _, parameters = content_type.partition(";")
    charset = parameters.strip().lower().removeprefix("charset=").strip('"')
    if media_type.strip().lower() != FORM_TYPE or charset not in ("", "utf-8", "utf8"):
        raise UnreadableFormError(FormProblem.WRONG_TYPE)


def parse_form(body: bytes) -> Fields:
    """Return the (name, value) pairs of a form body or a query in their order, decoded exactly once.

    An empty value stays; a field without `=` has an empty one. Only `&` separates fields, and `+` is a space
    (application/x-www-form-urlencoded of the URL Standard). Raises UnreadableFormError for escapes that are cut
    off, bytes that are not UTF-8, control characters, and more or longer fields than any LMS sends.
    """
    if len(body) > MAX_BODY:
        raise UnreadableFormError(FormProblem.TOO_LARGE)
    if not body:
        return ()
    if _BROKEN_ESCAPE.search(body):
        raise UnreadableFormError(FormProblem.BROKEN_ESCAPE)
    pieces = body.split(b"&")
    if len(pieces) > MAX_FIELDS:
        raise UnreadableFormError(FormProblem.TOO_MANY_FIELDS)
    fields = []
    for piece in pieces:
        if not piece:
            continue
        name, _, value = piece.partition(b"=")
        if len(name) > MAX_NAME or len(value) > MAX_VALUE:
            raise UnreadableFormError(FormProblem.TOO_LARGE)
        fields.append((_decode(name), _decode(value)))
    return tuple(fields)


def _decode(text: bytes) -> str:
    if b"+" in text:
        text = text.replace(b"+", b" ")
    if b"%" in text:
        text = unquote_to_bytes(text)
    try:
        decoded = text.decode()
    except UnicodeDecodeError:
        raise UnreadableFormError(FormProblem.NOT_UTF_8) from None
    if not decoded.isprintable() and _CONTROL.search(decoded):
        raise UnreadableFormError(FormProblem.CONTROL_CHARACTER)
    return decoded
