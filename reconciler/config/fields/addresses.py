"""Parses URLs, origins and host keys. An error never contains the value."""

import base64
import ipaddress
import re
from typing import Annotated
from urllib.parse import SplitResult, parse_qsl, urlsplit

from pydantic import AfterValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from reconciler.config.fields.values import Text

HOST_KEY_PATTERN = re.compile(
    r"(ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(?:256|384|521)|sk-[a-z0-9-]+@openssh\.com)"
    r" ([A-Za-z0-9+/]{20,}={0,2})(?: .*)?"
)

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
    if match:
        kind = match[1].encode()
        wire = len(kind).to_bytes(4, "big") + kind
        needed = -(-len(wire) // 3) * 4
        head = match[2][:needed].rstrip("=")
        if base64.b64decode(head + "=" * (-len(head) % 4))[: len(wire)] == wire:
            return value
    raise PydanticCustomError(
        "invalid-host-key",
        "must be the server's public key in OpenSSH format, type and base64, such as ssh-ed25519 AAAA…",
    )


WebUrl = Annotated[Text, AfterValidator(_check_web_url), WithJsonSchema({"type": "string", "format": "uri"})]
Origin = Annotated[
    Text,
    AfterValidator(_normalize_origin),
    WithJsonSchema({"type": "string", "pattern": r"^[Hh][Tt][Tt][Pp][Ss]?://[^/?#\s@]+$"}),
]
PublicHostKey = Annotated[Text, AfterValidator(_check_host_key)]


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
