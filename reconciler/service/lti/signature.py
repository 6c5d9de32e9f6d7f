"""Sign and check a request by OAuth 1.0 (RFC 5849, section 3.4), as LTI 1.1 uses it: no token, one shared secret."""

import hashlib
import hmac
import re
from base64 import b64decode, b64encode
from collections.abc import Iterable
from enum import StrEnum
from urllib.parse import quote, urlsplit

_is_unreserved = re.compile(r"[A-Za-z0-9\-._~]*").fullmatch


class SignatureMethod(StrEnum):
    """The methods that a platform may sign with."""

    HMAC_SHA1 = "HMAC-SHA1"
    HMAC_SHA256 = "HMAC-SHA256"


_DIGESTS = {SignatureMethod.HMAC_SHA1: hashlib.sha1, SignatureMethod.HMAC_SHA256: hashlib.sha256}


def percent_encode(text: str) -> str:
    """Return the text as RFC 5849, section 3.6, encodes it: all but letters, digits and `-._~`, in upper-case hex."""
    return text if _is_unreserved(text) else quote(text, safe="")


def normalize_url(url: str) -> str:
    """Return the base string URI of RFC 5849, section 3.4.1.2: no query, no fragment and no default port."""
    parts = urlsplit(url)
    scheme, host = parts.scheme.lower(), parts.netloc.rpartition("@")[2].lower()
    default_port = {"http": ":80", "https": ":443"}.get(scheme)
    if default_port:
        host = host.removesuffix(default_port)
    return f"{scheme}://{host}{parts.path or '/'}"


def build_base_string(method: str, base_url: str, parameters: Iterable[tuple[str, str]]) -> str:
    """Return the signature base string of RFC 5849, section 3.4.1.

    base_url: as normalize_url returns it. parameters: decoded, of body, query and header alike, in any order and with
    repetitions; `oauth_signature` is left out.
    """
    pairs = sorted(
        (percent_encode(name), percent_encode(value)) for name, value in parameters if name != "oauth_signature"
    )
    text = "&".join([f"{name}={value}" for name, value in pairs])
    # The pairs are already encoded, so a second encoding changes only these characters.
    encoded = text.replace("%", "%25").replace("=", "%3D").replace("&", "%26")
    return f"{method.upper()}&{percent_encode(base_url)}&{encoded}"


def sign(base_string: str, secret: str, method: SignatureMethod = SignatureMethod.HMAC_SHA1) -> bytes:
    """Return the digest that `oauth_signature` has to contain, not yet in base64; there is no token secret."""
    key = f"{percent_encode(secret)}&".encode()
    return hmac.digest(key, base_string.encode(), _DIGESTS[method])


def encode_signature(digest: bytes) -> str:
    """Return a digest as `oauth_signature` carries it."""
    return b64encode(digest).decode()


def check_signature(
    base_string: str, signature: str, secrets: Iterable[str], method: SignatureMethod = SignatureMethod.HMAC_SHA1
) -> bool:
    """Return whether one of the secrets made the signature.

    Every secret is tried, and digests are compared as bytes in constant time, so that the answer takes as long
    whichever of them was right. A signature that is not base64 matches nothing.
    """
    try:
        received = b64decode(signature, validate=True)
    except ValueError:
        received = b""
    is_right = False
    for secret in secrets:
        is_right |= hmac.compare_digest(sign(base_string, secret, method), received)
    return is_right
