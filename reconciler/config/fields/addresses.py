"""Parses URLs, origins and host keys. An error never contains the value."""

import base64
import binascii
import ipaddress
import re
from collections.abc import Iterator
from typing import Annotated
from urllib.parse import SplitResult, parse_qsl, urlsplit

from pydantic import AfterValidator, StringConstraints, WithJsonSchema
from pydantic_core import PydanticCustomError

from reconciler.config.fields.values import TEXT_PATTERN, VisibleText

HOST_KEY_PATTERN = re.compile(
    r"(ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(?:256|384|521))(?: +([A-Za-z0-9+/]+={0,2})(?: .*)?)?"
)
#: Bytes of each part of a public key after its type, by type (RFC 8709, 4; RFC 5656, 3.1); an uncompressed point.
HOST_KEY_PARTS = {
    "ssh-ed25519": (32,),
    "ecdsa-sha2-nistp256": (8, 65),
    "ecdsa-sha2-nistp384": (8, 97),
    "ecdsa-sha2-nistp521": (8, 133),
}
#: Bytes of an RSA modulus, with its leading zero: OpenSSH reads keys of 1,024 to 16,384 bits.
RSA_MODULUS = range(128, 2050)
#: Characters of a host key with its comment; one of 16,384 bits has 2,772.
MAX_HOST_KEY = 4000

SECRET_PARAMETER = re.compile(
    r"(?i)(secret|token|passw(or)?d|signature|(^|[-_.])(pwd|sig)$|(api|access|auth|^)[-_.]?key$)"
)

WILDCARD = re.compile(r"[*?%{}]")
#: hosts of services whose addresses let everybody who has one post, and their subdomains
CAPABILITY_HOSTS = (
    "hooks.slack.com",
    "hooks.zapier.com",
    "discord.com",
    "discordapp.com",
    "webhook.office.com",
    "logic.azure.com",
    "chat.googleapis.com",
    "maker.ifttt.com",
    "make.com",
)
#: a run of letters and digits that nobody would choose as a name, or a UUID
RANDOM_TEXT = re.compile(
    r"(?<![A-Za-z0-9])(?=[A-Za-z]*[0-9])(?=[0-9]*[A-Za-z])[A-Za-z0-9]{16,}"
    r"|[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}"
)


def _split_url(value: str) -> SplitResult:
    try:
        parts = urlsplit(value)
        port = parts.port
    except ValueError:
        parts, port = None, None
    if (
        parts is None
        or parts.scheme not in ("http", "https")
        or not parts.hostname
        or port == 0
        or re.search(r"\s", value)
    ):
        raise PydanticCustomError("invalid-url", "must be a complete URL with https:// (or http://) and a host")
    if WILDCARD.search(parts.hostname):
        raise PydanticCustomError(
            "invalid-url", "must name one host; a wildcard such as * would match no host, and is not supported"
        )
    if parts.username is not None or parts.password is not None:
        raise PydanticCustomError(
            "literal-secret", "must not contain a username or password; they do not belong in this file"
        )
    return parts


def _check_web_url(value: str) -> str:
    _split_url(value)
    return value


def _normalize_origin(value: str) -> str:
    parts = _split_url(value)
    if parts.path or parts.query or parts.fragment or value.endswith(("?", "#")):
        raise PydanticCustomError("invalid-origin", "must be only scheme, host and port, such as https://lms.example")
    return value.lower()


def _check_host_key(value: str) -> str:
    match = HOST_KEY_PATTERN.fullmatch(value)
    if match is None or match[2] is None:
        raise PydanticCustomError(
            "invalid-host-key",
            "must be the server's public key in OpenSSH format, type and base64, such as ssh-ed25519 AAAA…",
        )
    kind, text = match[1], match[2]
    try:
        blob = base64.b64decode(text, validate=True)
    except binascii.Error:
        # A length that no base64 has: decode what is there, to tell a key that is cut off from one of another type.
        blob = base64.b64decode(text.rstrip("=")[: len(text.rstrip("=")) // 4 * 4])
    parts = list(_iter_ssh_strings(blob))
    if parts and parts[0] != kind.encode():
        raise PydanticCustomError("invalid-host-key", f"must have the base64 of a key of type {kind}; this is another")
    if not _is_whole_key(kind, [len(part) for part in parts[1:]], blob) or len(text) % 4:
        raise PydanticCustomError(
            "invalid-host-key",
            f"must be a whole key; the base64 of this {kind} key ({len(text):,} characters) is cut off or damaged",
        )
    return value


def _is_whole_key(kind: str, lengths: list[int], blob: bytes) -> bool:
    if sum(4 + length for length in lengths) + 4 + len(kind) != len(blob):
        return False
    if kind == "ssh-rsa":
        return len(lengths) == 2 and lengths[1] in RSA_MODULUS
    return tuple(lengths) == HOST_KEY_PARTS[kind]


def _iter_ssh_strings(blob: bytes) -> Iterator[bytes]:
    """Yield the complete strings of a blob, each preceded by its length (RFC 4251, 5)."""
    while blob and (end := 4 + int.from_bytes(blob[:4], "big")) <= len(blob):
        yield blob[4:end]
        blob = blob[end:]


WebUrl = Annotated[VisibleText, AfterValidator(_check_web_url), WithJsonSchema({"type": "string", "format": "uri"})]
Origin = Annotated[
    VisibleText,
    AfterValidator(_normalize_origin),
    WithJsonSchema({"type": "string", "pattern": r"^[Hh][Tt][Tt][Pp][Ss]?://[^/?#\s@]+$"}),
]
PublicHostKey = Annotated[
    str,
    StringConstraints(min_length=1, max_length=MAX_HOST_KEY, pattern=TEXT_PATTERN),
    AfterValidator(_check_host_key),
]


def is_web_url(text: str) -> bool:
    """Return whether a text is a URL as a document may have it."""
    try:
        _split_url(text)
    except PydanticCustomError:
        return False
    return True


def get_host(url: str) -> str:
    return urlsplit(url).hostname or ""


def is_https(url: str) -> bool:
    return urlsplit(url).scheme == "https"


def find_secret_parameter(url: str) -> str | None:
    """Return the first query parameter of a URL whose name suggests a secret, or None."""
    return next((name for name, _ in parse_qsl(urlsplit(url).query) if SECRET_PARAMETER.search(name)), None)


def is_capability_url(url: str) -> bool:
    """Return whether a URL looks like one that lets everybody who knows it post: its query or path has a secret."""
    parts = urlsplit(url)
    host = get_host(url).rstrip(".").lower()
    return (
        find_secret_parameter(url) is not None
        or any(host == name or host.endswith(f".{name}") for name in CAPABILITY_HOSTS)
        or RANDOM_TEXT.search(f"{parts.path}?{parts.query}#{parts.fragment}") is not None
    )


def mask_url(url: str) -> str:
    """Return a URL with its scheme and host alone, for reports."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    hidden = parts.path.strip("/") or parts.query or parts.fragment
    return f"{parts.scheme}://{host}/…" if hidden else f"{parts.scheme}://{host}"


def is_private_host(host: str) -> bool:
    """Return whether a host is in a private network, judged by its name or address alone; nothing is looked up."""
    name = host.strip("[]").rstrip(".").lower()
    try:
        return not ipaddress.ip_address(name).is_global
    except ValueError:
        return name == "localhost" or name.endswith((".localhost", ".local", ".internal")) or "." not in name
