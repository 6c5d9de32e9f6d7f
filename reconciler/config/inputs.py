"""A digest of everything that a customer is read from: the same files, the same configuration, without reading them.

The contents enter by the id that git gives them, so that a listing of a commit is enough to compare a customer with
what the store was given.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable

import reconciler
from reconciler.config.layout import CustomerFolder, Document
from reconciler.config.reader import MAX_BYTES


def inputs_of(folder: CustomerFolder, content_id: Callable[[Document], str | None]) -> str | None:
    """None where a file's content has no id: it is not there, or not to be read. With the version of the program, which
    may read the same files in another way."""
    files = [*([folder.file] if folder.file else []), *folder.defaults, *folder.communities, *folder.lessons]
    contents = [(file.name, content_id(file)) for file in files]
    if any(content is None for _, content in contents):
        return None
    return hashlib.sha256(json.dumps([reconciler.__version__, folder.id, contents]).encode()).hexdigest()


def blob_id(file: Document) -> str | None:
    """The id that git gives a file's content, unless it changes it on the way in."""
    try:
        data = file.files.read(file.path, MAX_BYTES + 1, follow=file.linked)
    except OSError:
        return None
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()
