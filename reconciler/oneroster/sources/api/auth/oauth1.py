"""Signs requests by OAuth 1.0a without a token (RFC 5849), in the Authorization header, as OneRoster 1.1 requires.

The signature covers all query parameters; a GET has no body and so no body hash. Every attempt is signed again, with a
new nonce and timestamp.
"""

import time
from collections.abc import Callable, Generator, Iterable
from email.utils import parsedate_to_datetime

import httpx
from oauthlib import oauth1
from pydantic import SecretStr

from reconciler.oneroster.sources.api.account import SignatureMethod
from reconciler.oneroster.sources.api.http.authorization import Authorization

#: Seconds by which two clocks may differ: most servers refuse an older timestamp.
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
        assert request.method == "GET", "only GET is supported: a body would have to be signed"
        _, headers, _ = client.sign(str(request.url), http_method="GET", headers={})
        request.headers["Authorization"] = headers["Authorization"]
        yield request

    def refresh_credentials(self, request: httpx.Request) -> bool:
        """Return False: the same key and secret would be refused again."""
        return False

    def list_secrets(self) -> Iterable[str]:
        return (self._secret.get_secret_value(),)

    def explain_unauthorized(self, answer: httpx.Response) -> str:
        """Return that the clocks differ, or that the server may require the other signature method."""
        apart = _measure_clock_skew(answer, self._wall())
        if abs(apart) > MAX_CLOCK_SKEW:
            side = "ahead of" if apart > 0 else "behind"
            return f"Its clock is {round(abs(apart) / 60)} minutes {side} this machine's: one of them is wrong."
        other = next(name for name in _METHODS if name != self._signature)
        return f"Some servers require signature: {other}; this request used {self._signature}."


def _measure_clock_skew(answer: httpx.Response, now: float) -> float:
    """Return the seconds by which the server's Date is ahead of now, or 0 without a Date."""
    try:
        return parsedate_to_datetime(answer.headers["date"]).timestamp() - now
    except (KeyError, ValueError, OverflowError):
        return 0.0
