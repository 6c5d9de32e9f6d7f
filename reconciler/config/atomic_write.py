"""Writing a file whole or not at all."""

from __future__ import annotations

import os
import secrets
import stat
from contextlib import suppress
from pathlib import Path

from reconciler.model.diagnostic import Diagnostic, Refusal, Span, build_error


def replace_file(path: Path, text: str, expected_content: bytes | None) -> None:
    """Puts a text in the place of a file, which keeps its mode and, where the system lets us, its owner; of a link,
    the file that it leads to. before: what was read of it, None for a file that is not there yet.

    Refusal where it is something else by now; OSError where it cannot be written. Then everything is as it was.
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
    known = target.stat()
    mine = os.fstat(descriptor)
    if (known.st_uid, known.st_gid) != (mine.st_uid, mine.st_gid):
        # whoever may write here and is not root cannot give files away
        with suppress(PermissionError):
            os.fchown(descriptor, known.st_uid, known.st_gid)
    os.fchmod(descriptor, stat.S_IMODE(known.st_mode))


def _read_content(target: Path) -> bytes | None:
    try:
        return target.read_bytes()
    except FileNotFoundError:
        return None


def _build_changed_error(path: Path) -> Diagnostic:
    return build_error(
        "changed-meanwhile", "the file was changed meanwhile and is left as it is", Span(str(path)), "try again"
    )
