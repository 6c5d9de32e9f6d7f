"""Write docs/reference/reasons.md from the table of reasons."""

from reconciler.model.reason import SENTENCES

HEAD = """\
# Reasons

Every change in a plan has a reason. Scripts read the code; people read the sentence. New codes may be added, so scripts
must accept unknown ones.

| code | meaning |
| --- | --- |
"""


def render_reasons_page() -> str:
    """Return Markdown."""
    return HEAD + "".join(f"| `{reason.value}` | {sentence} |\n" for reason, sentence in SENTENCES.items())
