"""Signatures of posts, as Standard Webhooks 1.0 has them: `v1` under a secret that both sides know, `v1a` by the
store's own key, of which everybody may know the public half.

What is signed: `ID.TIMESTAMP.BODY`, where the timestamp is in seconds since 1970.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac

SECRET_PREFIX, PUBLIC_PREFIX = "whsec_", "whpk_"
#: What the key is derived for from the store's own.
WEBHOOK_KEY_PURPOSE = "webhook"
#: Bytes that a shared secret has.
SHORTEST_SECRET, LONGEST_SECRET = 24, 64


def decode_secret(text: str) -> bytes | None:
    """Of a shared secret: base64 of 24 to 64 bytes, `whsec_` before it or not. None for anything else."""
    encoded = text.strip().removeprefix(SECRET_PREFIX).rstrip("=")
    try:
        secret = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except (binascii.Error, ValueError):
        return None
    return secret if SHORTEST_SECRET <= len(secret) <= LONGEST_SECRET else None


def derive_public_key(seed: bytes) -> str:
    """The public half of the Ed25519 key of 32 bytes, `whpk_` and base64."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    public = Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()
    return PUBLIC_PREFIX + base64.b64encode(public).decode()


def build_signature_headers(
    message_id: str, timestamp: int, body: bytes, seed: bytes, secret: bytes | None
) -> dict[str, str]:
    """webhook-id, webhook-timestamp, webhook-signature. seed: of the store's key. secret: None for `v1a` alone."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    content = f"{message_id}.{timestamp}.".encode() + body
    signatures = [f"v1,{_encode_base64(hmac.digest(secret, content, hashlib.sha256))}"] if secret is not None else []
    signatures.append(f"v1a,{_encode_base64(Ed25519PrivateKey.from_private_bytes(seed).sign(content))}")
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(signatures),
    }


def _encode_base64(signature: bytes) -> str:
    return base64.b64encode(signature).decode()
