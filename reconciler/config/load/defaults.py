"""Reads the defaults.yaml files of a repository, and merges what a customer or a community inherits."""

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
    """Reads each file once and merges each chain of files once."""

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
        """Return the errors in these files, which make the customers below them invalid."""
        return tuple(each for file in chain for each in self._opened[file.path].diagnostics if each.is_error)

    def resolve_for_customer(self, chain: DefaultsChain) -> Inheritance:
        return self._resolve_part(chain, "customer")

    def resolve_for_community(self, chain: DefaultsChain) -> Inheritance:
        return self._resolve_part(chain, COMMUNITY)

    def _resolve_part(self, chain: DefaultsChain, part: str) -> Inheritance:
        if (chain, part) not in self._parts:
            merged = self._merge_chain(chain)
            tree = merged.tree
            if tree is not None and part == COMMUNITY:
                below = tree.get(COMMUNITY)
                tree = below if isinstance(below, MappingNode) else None
            elif tree is not None:
                tree = _drop_keys(tree, ("kind", COMMUNITY))
            self._parts[chain, part] = Inheritance(tree, merged.suppression)
        return self._parts[chain, part]

    def _merge_chain(self, chain: DefaultsChain) -> Inheritance:
        if chain not in self._merged:
            above = self._merge_chain(chain[1:])
            own = self._opened[chain[0].path]
            tree = own.own_tree
            invalid_files = frozenset([chain[0].name] if own.model is None else ())
            self._merged[chain] = Inheritance(
                above.tree if tree is None else merge_inherited(tree, above.tree),
                ErrorSuppression(above.suppression.files | invalid_files, above.suppression.unread or tree is None),
            )
        return self._merged[chain]


def _drop_keys(tree: MappingNode, keys: tuple[str, ...]) -> MappingNode:
    remaining = MappingNode(tree.place)
    remaining.update({key: value for key, value in tree.items() if key not in keys})
    remaining.places = {key: place for key, place in tree.places.items() if key not in keys}
    return remaining
