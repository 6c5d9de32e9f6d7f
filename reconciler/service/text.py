"""Clean text that strangers send, so that it can be shown on one line among our own words."""

import re
import unicodedata

#: Invisible characters that change how their neighbors look: controls, bidirectional marks, zero-width ones,
#: private ones and halves of surrogates. Joiners stay, because Indian scripts and emoji need them.
_UNSEEN = frozenset({"Cc", "Cf", "Co", "Cs", "Cn"})
_JOINERS = "\u200c\u200d"
_SPACE = re.compile(r"\s+")


def clean_line(text: str, length: int) -> str:
    """Return the text on one line, in normal form C, without invisible characters, cut to `length` characters."""
    if not text.isascii():
        text = unicodedata.normalize("NFC", text)
    if not (text.isascii() and text.isprintable()):
        text = "".join(filter(_is_kept, text))
    text = _SPACE.sub(" ", text).strip()
    return text if len(text) <= length else text[: length - 1].rstrip() + "…"


def _is_kept(character: str) -> bool:
    return character in _JOINERS or character.isspace() or unicodedata.category(character) not in _UNSEEN
