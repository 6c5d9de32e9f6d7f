"""Values can be imported without the libraries that carry their frames."""

from __future__ import annotations

import subprocess
import sys

import pytest

IMPORT_ALL = """
import importlib, pkgutil, sys
package = importlib.import_module(sys.argv[1])
for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
    importlib.import_module(module.name)
print(sorted({"polars", "sqlalchemy"} & set(sys.modules)))
"""


@pytest.mark.parametrize("package", ["reconciler.model", "reconciler.notices"])
def test_loads_neither_polars_nor_sqlalchemy(package: str) -> None:
    loaded = subprocess.run([sys.executable, "-c", IMPORT_ALL, package], capture_output=True, text=True, check=True)
    assert loaded.stdout == "[]\n"
