"""The defaults.yaml files of a repository, and what a customer or a community inherits from those above it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from reconciler.config.load.document import NO_INHERITANCE, Inheritance, LoadResult, merge_inherited, open_document
from reconciler.config.load.layout import ConfigFile
from reconciler.config.models.declaration import Declaration, ValidationContext
from reconciler.config.models.defaults import Defaults
from reconciler.config.validation.pydantic_errors import ErrorSuppression
from reconciler.config.yaml.tree import MappingNode
from reconciler.model.diagnostic import Diagnostic

DefaultsChain = tuple[ConfigFile, ...]

COMMUNITY = "community"


class DefaultsResolver:
    """Each file is read once, each chain of files is merged once."""

    def __init__(self, files: Iterable[ConfigFile], context: ValidationContext) -> None:
        self._opened: Mapping[str, LoadResult[Declaration]] = {
            file.path: open_document(file, Defaults, "defaults", context) for file in files
        }
        self._merged: dict[DefaultsChain, Inheritance] = {(): NO_INHERITANCE}
        self._parts: dict[tuple[DefaultsChain, str], Inheritance] = {}

    @property
    def load_results(self) -> Iterable[LoadResult[Declaration]]:
        return self._opened.values()

    def list_errors(self, chain: DefaultsChain) -> tuple[Diagnostic, ...]:
        """Why customers below these files are invalid, if they are."""
        return tuple(each for file in chain for each in self._opened[file.path].diagnostics if each.is_error)

    def resolve_for_customer(self, chain: DefaultsChain) -> Inheritance:
        return self._resolve_part(chain, "customer")

    def resolve_for_community(self, chain: DefaultsChain) -> Inheritance:
        return self._resolve_part(chain, COMMUNITY)

    def _resolve_part(self, chain: DefaultsChain, part: str) -> Inheritance:
        if (chain, part) not in self._parts:
            whole = self._merge_chain(chain)
            tree = whole.tree
            if tree is not None and part == COMMUNITY:
                below = tree.get(COMMUNITY)
                tree = below if isinstance(below, MappingNode) else None
            elif tree is not None:
                tree = _drop_keys(tree, ("kind", COMMUNITY))
            self._parts[chain, part] = Inheritance(tree, whole.suppression)
        return self._parts[chain, part]

    def _merge_chain(self, chain: DefaultsChain) -> Inheritance:
        if chain not in self._merged:
            above = self._merge_chain(chain[1:])
            own = self._opened[chain[0].path]
            tree = own.own_tree
            wrong = frozenset([chain[0].name] if own.model is None else ())
            self._merged[chain] = Inheritance(
                above.tree if tree is None else merge_inherited(tree, above.tree),
                ErrorSuppression(above.suppression.files | wrong, above.suppression.unread or tree is None),
            )
        return self._merged[chain]


def _drop_keys(tree: MappingNode, keys: tuple[str, ...]) -> MappingNode:
    kept = MappingNode(tree.place)
    kept.update({key: value for key, value in tree.items() if key not in keys})
    kept.places = {key: place for key, place in tree.places.items() if key not in keys}
    return kept
