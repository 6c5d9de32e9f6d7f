"""Reads YAML into trees whose values know their file, line and column."""

from reconciler.config.yaml.reader import BOM as BOM
from reconciler.config.yaml.reader import MAX_BYTES as MAX_BYTES
from reconciler.config.yaml.reader import read_yaml as read_yaml
from reconciler.config.yaml.tree import MappingNode as MappingNode
