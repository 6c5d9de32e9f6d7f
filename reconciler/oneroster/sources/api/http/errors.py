"""Lists the failures of an API, each with its code, message and hint.

The braces of a message and a hint are filled by name: host, path (with limit and offset), status, said (the server's
own message, quoted and shortened, or nothing), why, more (a further hint, or nothing).
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from reconciler.model.diagnostic import Refusal, build_error


@dataclass(frozen=True, slots=True)
class ErrorText:
    sentence: str
    hint: str


_TOKEN = "the token endpoint {host}"
_LATER = "The next fetch resumes where this one stopped."

ERROR_TEXTS = {
    # By status.
    "unauthorized": ErrorText(
        "{host} rejected the credentials for {path} (401){said}",
        "Check consumer_key, secret_key and authorization with the API's owner.{more}",
    ),
    "forbidden": ErrorText(
        "{host} denied access to {path} (403){said}",
        "Ask the API's owner to grant this key access. reconciler does not treat this as an empty collection.{more}",
    ),
    "not-found": ErrorText(
        "{host} has no {path} (404){said}",
        "Check that url is the base address, such as https://HOST/ims/oneroster/v1p1. If it worked before, the module "
        "may have been switched off, or its license may have ended.{more}",
    ),
    "bad-request": ErrorText(
        "{host} rejected the request for {path} ({status}){said}",
        "Try a smaller page_size, and check that the version at the end of url is the server's.{more}",
    ),
    "unexpected-status": ErrorText(
        "{host} answered {path} with unexpected status {status}{said}",
        "Check url; `reconciler roster probe` shows more.{more}",
    ),
    "server-error": ErrorText(
        "{host} failed repeatedly at {path} ({status}){said}",
        f"Ask the server's owner. {_LATER}{{more}}",
    ),
    "server-busy": ErrorText(
        "{host} is too busy to answer {path} ({status}){said}",
        f"Set network.requests_per_second in reconciler.yaml, or fetch at another time. {_LATER}{{more}}",
    ),
    "asked-to-wait": ErrorText(
        "{host} asked for no requests before {why} ({status}){said}",
        f"Fetch again after that time. {_LATER}{{more}}",
    ),
    # Redirects and links.
    "redirect-refused": ErrorText(
        "{host} redirected {path}: {why}; the redirect was not followed",
        "The server moved, or this is a sign-in page. Update url to the API's current address.{more}",
    ),
    "link-refused": ErrorText(
        "{host} named a next page outside the API: {why}; it was not requested",
        "Ask the server's owner to correct its public address.{more}",
    ),
    # The body.
    "not-json": ErrorText(
        "{host} answers {path} with {why} instead of JSON",
        "A sign-in page or a proxy may be in between. Open url from this machine.{more}",
    ),
    "broken-json": ErrorText(
        "{host} answers {path} with JSON that is cut or cannot be read",
        f"Try a smaller page_size, or ask the server's owner. {_LATER}{{more}}",
    ),
    "empty-answer": ErrorText(
        "{host} answered {path} without content ({status})",
        "Ask the server's owner: an empty collection must be an empty list.{more}",
    ),
    "answer-too-large": ErrorText(
        "{host} answers {path} with more than {why}",
        "Set a smaller page_size.{more}",
    ),
    "unknown-encoding": ErrorText(
        "{host} compressed {path} in a way that was not requested ({why})",
        "A proxy in between may do so. Ask the server's owner.{more}",
    ),
    # The connection.
    "no-answer-in-time": ErrorText(
        "{host} did not answer {path} in time, in any attempt",
        f"Try a smaller page_size. {_LATER}{{more}}",
    ),
    "connection-dropped": ErrorText(
        "{host} dropped the connection within {path}, in every attempt",
        f"Try a smaller page_size. {_LATER}{{more}}",
    ),
    "fetch-too-long": ErrorText(
        "the fetch from {host} took longer than its timeout of {why}; it stopped at {path}",
        f"Set a longer timeout, or a larger page_size. {_LATER}{{more}}",
    ),
    # Tokens.
    "token-client-refused": ErrorText(
        f"{_TOKEN} rejected the client id and secret ({{status}}){{said}}",
        "Check consumer_key and secret_key with the API's owner.{more}",
    ),
    "token-scope-refused": ErrorText(
        f"{_TOKEN} did not grant the requested scopes ({{status}}){{said}}",
        "Requested: {why}. Set scopes to those that the API's owner names.{more}",
    ),
    "token-grant-refused": ErrorText(
        f"{_TOKEN} does not support the client_credentials grant ({{status}}){{said}}",
        "Check token_url, and ask the API's owner to allow client_credentials for this key.{more}",
    ),
    "token-refused": ErrorText(
        f"{_TOKEN} returned no token ({{status}}){{said}}",
        "Check token_url, consumer_key and secret_key with the API's owner.{more}",
    ),
    "token-not-json": ErrorText(
        f"{_TOKEN} returned {{why}} instead of a token ({{status}})",
        "Check token_url: it looks like a web page.{more}",
    ),
    "token-unavailable": ErrorText(
        f"{_TOKEN} cannot issue a token now: {{why}}",
        f"Fetch again later. {_LATER}{{more}}",
    ),
}


def make_refusal(
    code: str,
    host: str,
    path: str = "",
    *,
    status: int = 0,
    server_message: str = "",
    why: str = "",
    extra_hint: str = "",
) -> Refusal:
    """Return the refusal of this code. No text may contain secrets or control characters. extra_hint: a sentence."""
    known = ERROR_TEXTS[code]
    values = {
        "host": host,
        "path": path,
        "status": status,
        "said": f": it says “{server_message}”" if server_message else "",
        "why": why,
        "more": f" {extra_hint}" if extra_hint else "",
    }
    return Refusal([build_error(code, known.sentence.format(**values), hint=known.hint.format(**values))])


# The server's own error message: imsx_StatusInfo of OneRoster 1.1 and 1.2, and OAuth 2's error (RFC 6749, 5.2).


#: Maximum number of characters to repeat of one text.
MAX_TEXT_LENGTH = 200

#: Keys of the envelope of status information; some servers use none.
_ENVELOPES = ("imsx_StatusInfo", "imsx_statusInfo", "statusInfo", "statusInfoSet", "statusInfoPayload")
_MINOR = ("imsx_CodeMinor", "imsx_codeMinor")


def format_status_info(body: bytes, secrets: Iterable[str] = ()) -> str:
    """Return major code, minor codes and description, such as `failure, invalid_filter_field: no such field`.

    Empty if the body has none of them. secrets: texts that are never repeated.
    """
    info = next(_iter_status_infos(parse_json(body)), None)
    if info is None:
        return ""
    codes = [
        each for each in (sanitize_text(info.get("imsx_codeMajor"), secrets), *_iter_minor_codes(info, secrets)) if each
    ]
    description = sanitize_text(info.get("imsx_description"), secrets)
    return ": ".join(part for part in (", ".join(codes), description) if part)


def parse_oauth_error(body: bytes, secrets: Iterable[str] = ()) -> tuple[str, str]:
    """Return `error` and `error_description` of a token endpoint, each empty if missing."""
    document = parse_json(body)
    if not isinstance(document, dict):
        return "", ""
    return sanitize_text(document.get("error"), secrets), sanitize_text(document.get("error_description"), secrets)


def parse_json(body: bytes) -> Any:
    """Return the body as Python values, or None if it is not JSON."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return None


def sanitize_text(value: object, secrets: Iterable[str] = ()) -> str:
    """Return a server's text on one line, shortened, without control characters; empty if it is no text."""
    if not isinstance(value, str):
        return ""
    for secret in secrets:
        if secret:
            value = value.replace(secret, "…")
    line = "".join(sign for sign in " ".join(value.split()) if sign.isprintable())
    return line if len(line) <= MAX_TEXT_LENGTH else line[: MAX_TEXT_LENGTH - 1] + "…"


def _iter_status_infos(document: Any) -> Iterator[Mapping[str, Any]]:
    if not isinstance(document, dict):
        return
    if "imsx_codeMajor" in document or "imsx_description" in document:
        yield document
    for name in _ENVELOPES:
        inner = document.get(name)
        for each in inner if isinstance(inner, list) else [inner]:
            yield from _iter_status_infos(each)


def _iter_minor_codes(info: Mapping[str, Any], secrets: Iterable[str]) -> Iterator[str]:
    """Yield minor codes from a plain string or {imsx_codeMinorField: [{imsx_codeMinorFieldValue}]}."""
    for name in _MINOR:
        minor = info.get(name)
        yield sanitize_text(minor, secrets)
        fields = minor.get("imsx_codeMinorField") if isinstance(minor, dict) else None
        for field in fields[:3] if isinstance(fields, list) else [fields]:
            if isinstance(field, dict):
                yield sanitize_text(field.get("imsx_codeMinorFieldValue"), secrets)
