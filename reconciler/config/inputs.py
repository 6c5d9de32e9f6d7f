"""Computes a digest of the files that a customer is read from: the same digest means the same configuration."""

import hashlib
import json
from collections.abc import Callable

import reconciler
from reconciler.config.load.layout import ConfigFile, CustomerFolder
from reconciler.config.yaml.reader import MAX_BYTES


def digest_inputs(folder: CustomerFolder, content_id: Callable[[ConfigFile], str | None]) -> str | None:
    """Return the digest, or None if a file's content has no id (missing or unreadable).

    It includes the version of the program, which may read the same files differently.
    """
    files = [*([folder.file] if folder.file else []), *folder.defaults, *folder.communities, *folder.lessons]
    contents = [(file.name, content_id(file)) for file in files]
    if any(content is None for _, content in contents):
        return None
    return hashlib.sha256(json.dumps([reconciler.__version__, folder.id, contents]).encode()).hexdigest()


def compute_blob_id(file: ConfigFile) -> str | None:
    """Return the id that git gives the file's content if no filter changes it; None if the file can't be read."""
    try:
        data = file.files.read_content(file.path, MAX_BYTES + 1, follow=file.follow_links)
    except OSError:
        return None
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()
