"""The defaults.yaml files of a repository, and what a customer or a community inherits from those above it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from reconciler.config.load.document import NOTHING, Inherited, Opened, inherit, open_document
from reconciler.config.load.layout import Document
from reconciler.config.models.declaration import Circumstances, Declaration
from reconciler.config.models.defaults import Defaults
from reconciler.config.yaml.pydantic_errors import Excused
from reconciler.config.yaml.tree import MappingNode
from reconciler.model.diagnostic import Diagnostic

Chain = tuple[Document, ...]

COMMUNITY = "community"


class Heritage:
    """Each file is read once, each chain of files is merged once."""

    def __init__(self, files: Iterable[Document], known: Circumstances) -> None:
        self._opened: Mapping[str, Opened[Declaration]] = {
            file.path: open_document(file, Defaults, "defaults", known) for file in files
        }
        self._merged: dict[Chain, Inherited] = {(): NOTHING}
        self._parts: dict[tuple[Chain, str], Inherited] = {}

    @property
    def opened(self) -> Iterable[Opened[Declaration]]:
        return self._opened.values()

    def errors_of(self, chain: Chain) -> tuple[Diagnostic, ...]:
        """Why customers below these files are invalid, if they are."""
        return tuple(each for file in chain for each in self._opened[file.path].diagnostics if each.is_error)

    def for_customer(self, chain: Chain) -> Inherited:
        return self._part(chain, "customer")

    def for_community(self, chain: Chain) -> Inherited:
        return self._part(chain, COMMUNITY)

    def _part(self, chain: Chain, part: str) -> Inherited:
        if (chain, part) not in self._parts:
            whole = self._whole(chain)
            tree = whole.tree
            if tree is not None and part == COMMUNITY:
                below = tree.get(COMMUNITY)
                tree = below if isinstance(below, MappingNode) else None
            elif tree is not None:
                tree = _without(tree, ("kind", COMMUNITY))
            self._parts[chain, part] = Inherited(tree, whole.excused)
        return self._parts[chain, part]

    def _whole(self, chain: Chain) -> Inherited:
        if chain not in self._merged:
            above = self._whole(chain[1:])
            own = self._opened[chain[0].path]
            tree = own.written
            wrong = frozenset([chain[0].name] if own.model is None else ())
            self._merged[chain] = Inherited(
                above.tree if tree is None else inherit(tree, above.tree),
                Excused(above.excused.files | wrong, above.excused.unread or tree is None),
            )
        return self._merged[chain]


def _without(tree: MappingNode, keys: tuple[str, ...]) -> MappingNode:
    kept = MappingNode(tree.place)
    kept.update({key: value for key, value in tree.items() if key not in keys})
    kept.places = {key: place for key, place in tree.places.items() if key not in keys}
    return kept
