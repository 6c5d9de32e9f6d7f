"""Finds customers that are probably one customer under a new ID that the files do not say.

A customer's folder that is renamed without `previously` looks like one customer that is removed and another that is
new. Applying both would leave every account in the removed one.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from reconciler.model.ids import CustomerId
from reconciler.model.text_form import make_caseless_form

CustomerDocuments = Mapping[CustomerId, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class LikelyRename:
    """A new customer that looks like one that the files no longer have."""

    former: CustomerId
    new: CustomerId
    #: what both have in common, the strongest first
    evidence: tuple[str, ...]
    #: the new customer's file
    file: str = ""

    @property
    def sentences(self) -> tuple[str, str]:
        """Return plain sentences with what both have in common and the line that makes it a rename, each short enough
        for a comment."""
        return (
            f"{self.new} looks like {self.former} under a new ID (same {', '.join(self.evidence)}).",
            f"If it is, add previously: [{self.former}] to {self.file or 'its customer.yaml'}.",
        )


def find_likely_renames(
    appearing: CustomerDocuments,
    leaving: CustomerDocuments,
    moved: Mapping[CustomerId, CustomerId],
    files: Mapping[CustomerId, str],
) -> tuple[LikelyRename, ...]:
    """Return the likely renames: every pair of a new and a leaving customer that have something telling in common.

    moved: former ID by new ID, where git shows that the file was moved. files: customer.yaml by new ID. Several new
    customers may look like the same leaving one; each is returned."""
    owners = {name: _index_by_fact(leaving, list_facts) for name, list_facts in FACTS.items()}
    found: list[LikelyRename] = []
    for new, document in sorted(appearing.items()):
        evidence: dict[CustomerId, list[str]] = {}
        for name, list_facts in FACTS.items():
            for former in sorted({each for fact in list_facts(document) for each in owners[name].get(fact, ())}):
                evidence.setdefault(former, []).append(name)
        if new in moved and moved[new] in leaving:
            evidence.setdefault(moved[new], []).append("file in git")
        found += [
            LikelyRename(former, new, tuple(names), files.get(new, "")) for former, names in sorted(evidence.items())
        ]
    return tuple(found)


def _list_consumer_keys(document: Mapping[str, Any]) -> Iterator[object]:
    platforms = (document.get("lti") or {}).get("platforms") or {}
    yield from (each.get("consumer_key") for each in platforms.values())


def _list_administrators(document: Mapping[str, Any]) -> Iterator[object]:
    for each in (document.get("administrators") or {}).values():
        yield make_caseless_form(str(each.get("email") or "")) or None


def _list_partner_ids(document: Mapping[str, Any]) -> Iterator[object]:
    yield (document.get("rostering") or {}).get("client_partner_id")


def _list_names(document: Mapping[str, Any]) -> Iterator[object]:
    yield make_caseless_form(str(document.get("name") or "")) or None


#: what two customers may have in common -> the values of a document, None for none; the strongest first
FACTS: dict[str, Callable[[Mapping[str, Any]], Iterator[object]]] = {
    "consumer key": _list_consumer_keys,
    "client_partner_id": _list_partner_ids,
    "administrators": _list_administrators,
    "name": _list_names,
}


def _index_by_fact(
    documents: CustomerDocuments, list_facts: Callable[[Mapping[str, Any]], Iterator[object]]
) -> dict[object, list[CustomerId]]:
    index: dict[object, list[CustomerId]] = {}
    for customer, document in documents.items():
        for fact in list_facts(document):
            if fact is not None:
                index.setdefault(fact, []).append(customer)
    return index
