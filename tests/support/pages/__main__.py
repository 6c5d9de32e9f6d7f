"""Play every page, or those that are named, and rewrite them with what their commands print now."""

from __future__ import annotations

import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.support.pages.play import ROOT, find_pages, play_page

AT_ONCE = 2


def record_page(page: Path) -> str:
    """Rewrite one page in place. Return a line that says what became of it."""
    before = page.read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as folder:
        after = play_page(before, Path(folder).resolve())
    page.write_text(after, encoding="utf-8")
    return f"{page.relative_to(ROOT)}: {'unchanged' if after == before else 'rewritten'}"


if __name__ == "__main__":
    named = [Path(name).resolve() for name in sys.argv[1:]] or find_pages()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for line in pool.map(record_page, named):
            print(line, flush=True)
