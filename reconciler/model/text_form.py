"""Compares texts by what a reader sees.

Equal-looking texts may have different code points: NFC and NFD, full-width letters, ligatures, no-break spaces, and
characters that nobody sees, such as zero-width spaces, soft hyphens, byte order marks and marks of direction. Two forms
make them equal, each for one text and for a column:

- the visible form has no invisible characters, only plain spaces, and composed letters (NFC). It looks like the text
  that was written. A roster's keys, usernames and emails are read in this form.
- the comparison form is NFKC as well. Usernames, identifiers, emails and names count as equal if they have the same
  comparison form.

Names and titles are kept as written, since joiners and variation selectors are part of some names.
"""

import re
import unicodedata
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars as pl

#: ranges of characters without a shape of their own: Default_Ignorable_Code_Point (Unicode, DerivedCoreProperties),
#: C1 controls, annotation marks
_INVISIBLE_RANGES = (
    (0x80, 0x84), (0x86, 0x9F), (0xAD, 0xAD), (0x34F, 0x34F), (0x61C, 0x61C), (0x115F, 0x1160), (0x17B4, 0x17B5),
    (0x180B, 0x180F), (0x200B, 0x200F), (0x202A, 0x202E), (0x2060, 0x206F), (0x3164, 0x3164), (0xFE00, 0xFE0F),
    (0xFEFF, 0xFEFF), (0xFFA0, 0xFFA0), (0xFFF0, 0xFFFB), (0x1BCA0, 0x1BCA3), (0x1D173, 0x1D17A), (0xE0000, 0xE0FFF),
)  # fmt: skip
#: ranges of characters that look like a space, other than U+0020 and ASCII white space
_SPACE_RANGES = (
    (0x85, 0x85), (0xA0, 0xA0), (0x1680, 0x1680), (0x2000, 0x200A), (0x2028, 0x2029), (0x202F, 0x202F),
    (0x205F, 0x205F), (0x2800, 0x2800), (0x3000, 0x3000),
)  # fmt: skip


def _build_class(ranges: tuple[tuple[int, int], ...]) -> str:
    # The characters themselves: Python and polars write escapes of code points differently.
    return "".join(f"{chr(first)}-{chr(last)}" for first, last in ranges)


_INVISIBLE = f"[{_build_class(_INVISIBLE_RANGES)}]"
_OTHER_SPACE = f"[{_build_class(_SPACE_RANGES)}]"
_SPACES = f"[ \t\n\r\x0b\x0c{_build_class(_SPACE_RANGES)}]+"
#: a pattern of characters that nobody sees, and of spaces that are not U+0020; it works in polars too
HIDDEN = f"{_INVISIBLE}|{_OTHER_SPACE}"
_HIDDEN_PATTERN = re.compile(HIDDEN)
_INVISIBLE_PATTERN = re.compile(_INVISIBLE)
_OTHER_SPACE_PATTERN = re.compile(_OTHER_SPACE)
_SPACES_PATTERN = re.compile(_SPACES)


def make_visible_form(text: str) -> str:
    """Return a text in its visible form, without spaces around it."""
    if text.isascii():
        return text.strip()
    plain = _OTHER_SPACE_PATTERN.sub(" ", _INVISIBLE_PATTERN.sub("", text))
    return unicodedata.normalize("NFC", plain).strip()


def make_comparison_form(text: str) -> str:
    """Return a text in its comparison form: two texts with the same form look the same."""
    if not text.isascii():
        text = unicodedata.normalize("NFKC", _INVISIBLE_PATTERN.sub("", text))
    return _SPACES_PATTERN.sub(" ", text).strip(" ")


def make_caseless_form(text: str) -> str:
    """Return the comparison form of a text without differences of letter case, for usernames and names."""
    # A lowercase letter may have a composed form that its uppercase letter lacks.
    return unicodedata.normalize("NFKC", make_comparison_form(text).lower())


def make_visible_column(values: "pl.Series") -> "pl.Series":
    """Return a column of text in its visible form; a value without visible characters becomes empty."""

    def convert(odd: "pl.Series") -> "pl.Series":
        plain = odd.str.replace_all(_INVISIBLE, "").str.replace_all(_OTHER_SPACE, " ")
        return plain.str.normalize("NFC").str.strip_chars(" ")

    return values if is_ascii_column(values) else _convert_odd_values(values, r"[^\x00-\x7f]", convert)


def make_comparison_column(values: "pl.Series") -> "pl.Series":
    """Return a column of text in its comparison form."""

    def convert(odd: "pl.Series") -> "pl.Series":
        plain = odd.str.replace_all(_INVISIBLE, "").str.normalize("NFKC")
        return plain.str.replace_all(_SPACES, " ").str.strip_chars(" ")

    if is_ascii_column(values) and not (
        values.str.contains(r"[\t-\r]|  ").any() or values.str.starts_with(" ").any() or values.str.ends_with(" ").any()
    ):
        return values
    return _convert_odd_values(values, r"[^\x20-\x7e]|  |^ | $", convert)


def make_caseless_column(values: "pl.Series") -> "pl.Series":
    """Return a column of text in its comparison form, without differences of letter case."""
    folded = make_comparison_column(values).str.to_lowercase()
    if is_ascii_column(folded):
        return folded
    return _convert_odd_values(folded, r"[^\x00-\x7f]", lambda odd: odd.str.normalize("NFKC"))


def is_ascii_column(values: "pl.Series") -> bool:
    """Return whether every value is ASCII. This costs a tenth of a search."""
    return values.str.len_bytes().sum() == values.str.len_chars().sum()


def _convert_odd_values(values: "pl.Series", pattern: str, convert: "Callable[[pl.Series], pl.Series]") -> "pl.Series":
    """Convert only the values that match a pattern: normalizing a column costs six times as much as searching it."""
    is_odd = values.str.contains(pattern).fill_null(False)
    return values.clone().scatter(is_odd.arg_true(), convert(values.filter(is_odd)))


def find_hidden_character(text: str) -> int | None:
    """Return the index of the first invisible character, or of the first space that is not U+0020, or None."""
    found = None if text.isascii() else _HIDDEN_PATTERN.search(text)
    return found.start() if found else None


def describe_character(character: str) -> str:
    """Return a character's code point and name, such as `U+200B ZERO WIDTH SPACE`."""
    return f"U+{ord(character):04X} {unicodedata.name(character, 'CONTROL CHARACTER')}"


def look_the_same(one: str, other: str) -> bool:
    """Return whether two different texts cannot be told apart by reading them."""
    return one != other and make_visible_form(one) == make_visible_form(other)


def reveal_difference(one: str, other: str) -> tuple[str, str]:
    """Return two texts that look the same, with code points where they differ in what a reader cannot see."""
    shown = _reveal(one, _is_hidden), _reveal(other, _is_hidden)
    if make_visible_form(shown[0]) != make_visible_form(shown[1]):
        return shown
    # Variants of one letter, such as the compatibility ideographs, or only spaces around the text.
    return _reveal(one, _is_not_ascii), _reveal(other, _is_not_ascii)


def _reveal(text: str, is_revealed: Callable[[str], bool]) -> str:
    return "".join(f"(U+{ord(each):04X})" if is_revealed(each) else each for each in text)


def _is_hidden(character: str) -> bool:
    return unicodedata.combining(character) != 0 or _HIDDEN_PATTERN.match(character) is not None


def _is_not_ascii(character: str) -> bool:
    return not " " < character <= "~"
