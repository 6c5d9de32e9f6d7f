"""OAuth 1.0a without a token (RFC 5849), as OneRoster 1.1 has it: parameters in the Authorization header.

All parameters of the query are part of what is signed; a GET has no body and so no hash of one. Every attempt is signed
anew, with a nonce and a timestamp of its own.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterable
from email.utils import parsedate_to_datetime

import httpx
from oauthlib import oauth1
from pydantic import SecretStr

from reconciler.oneroster.sources.api.account import SignatureMethod
from reconciler.oneroster.sources.api.http.authorization import Authorization

#: How far the clocks of two machines may be apart, in seconds: most servers refuse an older timestamp.
MAX_CLOCK_SKEW = 300

_METHODS: dict[SignatureMethod, str] = {
    "hmac-sha1": oauth1.SIGNATURE_HMAC_SHA1,
    "hmac-sha256": oauth1.SIGNATURE_HMAC_SHA256,
}


class OAuth1Signer(Authorization):
    """Signs requests by OAuth 1.0a (RFC 5849), with the server's clock."""

    def __init__(
        self, key: str, secret: SecretStr, signature: SignatureMethod, wall: Callable[[], float] = time.time
    ) -> None:
        self._key = key
        self._secret = secret
        self._signature = signature
        self._wall = wall

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        client = oauth1.Client(
            self._key,
            client_secret=self._secret.get_secret_value(),
            signature_method=_METHODS[self._signature],
            timestamp=str(int(self._wall())),
        )
        assert request.method == "GET", "nothing else is asked of an API, and a body would have to be signed"
        _, headers, _ = client.sign(str(request.url), http_method="GET", headers={})
        request.headers["Authorization"] = headers["Authorization"]
        yield request

    def refresh_credentials(self, request: httpx.Request) -> bool:
        """Never: the same key and secret would be refused again."""
        return False

    def list_secrets(self) -> Iterable[str]:
        return (self._secret.get_secret_value(),)

    def explain_unauthorized(self, answer: httpx.Response) -> str:
        """Clocks that are apart, or the other method of signing."""
        apart = _measure_clock_skew(answer, self._wall())
        if abs(apart) > MAX_CLOCK_SKEW:
            side = "ahead of" if apart > 0 else "behind"
            return f"its clock is {round(abs(apart) / 60)} minutes {side} ours: one of them is wrong"
        other = next(name for name in _METHODS if name != self._signature)
        return f"some servers want signature: {other}, and ours is {self._signature}"


def _measure_clock_skew(answer: httpx.Response, now: float) -> float:
    """Seconds that the server's Date is ahead of now; 0 where it has none."""
    try:
        return parsedate_to_datetime(answer.headers["date"]).timestamp() - now
    except (KeyError, ValueError, OverflowError):
        return 0.0
