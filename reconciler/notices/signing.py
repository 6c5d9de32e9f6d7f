"""Sign webhooks as in Standard Webhooks 1.0: `v1` with a shared secret, `v1a` with the store's key (Ed25519).

The signed text is `ID.TIMESTAMP.BODY`, where the timestamp is in seconds since 1970.
"""

import base64
import binascii
import hashlib
import hmac

SECRET_PREFIX, PUBLIC_PREFIX = "whsec_", "whpk_"
#: purpose for which the signing key is derived from the store's key
WEBHOOK_KEY_PURPOSE = "webhook"
#: bytes of a shared secret
SHORTEST_SECRET, LONGEST_SECRET = 24, 64


def decode_secret(text: str) -> bytes | None:
    """Decode a shared secret: base64 of 24 to 64 bytes, with or without `whsec_`. Returns None for anything else."""
    encoded = text.strip().removeprefix(SECRET_PREFIX).rstrip("=")
    try:
        secret = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except (binascii.Error, ValueError):
        return None
    return secret if SHORTEST_SECRET <= len(secret) <= LONGEST_SECRET else None


def derive_public_key(seed: bytes) -> str:
    """Return the public key of an Ed25519 seed of 32 bytes, as `whpk_` and base64."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    public = Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()
    return PUBLIC_PREFIX + base64.b64encode(public).decode()


def build_signature_headers(
    message_id: str, timestamp: int, body: bytes, seed: bytes, secret: bytes | None
) -> dict[str, str]:
    """Return webhook-id, webhook-timestamp and webhook-signature.

    seed: of the store's key, 32 bytes. secret: None for `v1a` alone."""
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
