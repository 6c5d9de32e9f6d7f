"""Writes a file completely or not at all."""

import os
import secrets
import stat
from contextlib import suppress
from pathlib import Path

from reconciler.model.diagnostic import Diagnostic, Refusal, Span, build_error


def replace_file(path: Path, text: str, expected_content: bytes | None) -> None:
    """Replace the content of a file, keeping its mode and, if permitted, its owner. A symbolic link's target is
    replaced.

    expected_content: read from the file before; None for a new file. Raises Refusal if the content is different now,
    and OSError if the file cannot be written; then the old file is unchanged.
    """
    target = Path(os.path.realpath(path))
    draft = target.with_name(f".{target.name}.{secrets.token_hex(8)}.tmp")
    descriptor = os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            if expected_content is not None:
                _copy_owner_and_mode(target, descriptor)
            stream.write(text.encode())
            stream.flush()
            os.fsync(descriptor)
        if _read_content(target) != expected_content:
            raise Refusal([_build_changed_error(path)])
        os.replace(draft, target)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


def _copy_owner_and_mode(target: Path, descriptor: int) -> None:
    original = target.stat()
    draft = os.fstat(descriptor)
    if (original.st_uid, original.st_gid) != (draft.st_uid, draft.st_gid):
        # Only root may give a file to another owner.
        with suppress(PermissionError):
            os.fchown(descriptor, original.st_uid, original.st_gid)
    os.fchmod(descriptor, stat.S_IMODE(original.st_mode))


def _read_content(target: Path) -> bytes | None:
    try:
        return target.read_bytes()
    except FileNotFoundError:
        return None


def _build_changed_error(path: Path) -> Diagnostic:
    return build_error(
        "changed-meanwhile", "another process changed the file; nothing was written", Span(str(path)), "Try again."
    )
