"""Which secrets a document names: `{secret: NAME}` in its JSON-able form."""

from __future__ import annotations

from collections.abc import Mapping

#: (dotted path, name) of one
SecretName = tuple[str, str]


def secret_references(document: Mapping[str, object]) -> tuple[SecretName, ...]:
    """Every `{secret: NAME}` in a document, in order."""
    found: list[SecretName] = []
    _gather(document, "", found)
    return tuple(found)


def _gather(document: Mapping[str, object], above: str, found: list[SecretName]) -> None:
    for name, value in document.items():
        if type(value) is str or not isinstance(value, Mapping):
            continue
        if len(value) == 1 and "secret" in value:
            found.append((f"{above}{name}", str(value["secret"])))
        else:
            _gather(value, f"{above}{name}.", found)
