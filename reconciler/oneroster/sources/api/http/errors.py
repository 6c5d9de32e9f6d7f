"""Everything that an API may do other than answer, each with its code, its sentence and what to do about it.

The braces of a sentence and a hint are filled by name: host, path (with limit and offset), status, said (what the
server says of it, in quotes and cut, or nothing), why, more (what else is known, as a further hint, or nothing).
"""

from __future__ import annotations

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
_LATER = "the next fetch goes on from where this one was"

ERROR_TEXTS = {
    # What an answer says of itself.
    "unauthorized": ErrorText(
        "{host} does not accept our sign-in for {path} (401){said}",
        "check consumer_key, secret_key and authorization with the API's owner{more}",
    ),
    "forbidden": ErrorText(
        "{host} does not let us read {path} (403){said}",
        "the API's owner has to give our key the permission for it; that is not an empty collection{more}",
    ),
    "not-found": ErrorText(
        "{host} has no {path} (404){said}",
        "check that url is the base address, such as https://HOST/ims/oneroster/v1p1; if it worked before, the module "
        "may have been switched off, or its licence has ended{more}",
    ),
    "bad-request": ErrorText(
        "{host} does not understand the request for {path} ({status}){said}",
        "the server may bear a smaller page_size, or be of another version than the end of url says{more}",
    ),
    "unexpected-status": ErrorText(
        "{host} answers {path} with status {status}, which is no answer{said}",
        "check url; roster probe shows more{more}",
    ),
    "server-error": ErrorText(
        "{host} fails at {path} again and again ({status}){said}",
        f"the server's owner has to see to it; {_LATER}{{more}}",
    ),
    "server-busy": ErrorText(
        "{host} is too busy for {path} whenever it is asked ({status}){said}",
        f"set network: requests_per_second: in reconciler.yaml, or fetch at another time; {_LATER}{{more}}",
    ),
    "asked-to-wait": ErrorText(
        "{host} asks not to be asked before {why} ({status}){said}",
        f"nothing to do: {_LATER}, if it is after that{{more}}",
    ),
    # Where it leads.
    "redirect-refused": ErrorText(
        "{host} sends {path} elsewhere: {why}; nothing was sent there",
        "a sign-in page or a moved server; write the API's address of today into url{more}",
    ),
    "link-refused": ErrorText(
        "{host} names a next page elsewhere: {why}; nothing was sent there",
        "the server's owner has to set its public address right{more}",
    ),
    # What is in it.
    "not-json": ErrorText(
        "{host} answers {path} with {why} instead of JSON",
        "a sign-in page, a proxy or a captive portal may stand between; check url, and open it from this machine{more}",
    ),
    "broken-json": ErrorText(
        "{host} answers {path} with JSON that breaks off or cannot be read, whenever it is asked",
        f"the server's owner has to see to it; a smaller page_size may help; {_LATER}{{more}}",
    ),
    "empty-answer": ErrorText(
        "{host} answers {path} with nothing at all ({status})",
        "an empty collection would be an empty list; the server's owner has to see to it{more}",
    ),
    "answer-too-large": ErrorText(
        "{host} answers {path} with more than {why}",
        "set a smaller page_size{more}",
    ),
    "unknown-encoding": ErrorText(
        "{host} packs {path} in a way that was not asked for ({why})",
        "a proxy between may do so; the server's owner has to see to it{more}",
    ),
    # What becomes of it on the way.
    "no-answer-in-time": ErrorText(
        "{host} does not answer {path} in time, whenever it is asked",
        f"a smaller page_size may help; {_LATER}{{more}}",
    ),
    "connection-dropped": ErrorText(
        "{host} drops the connection within {path}, whenever it is asked",
        f"a smaller page_size may help; {_LATER}{{more}}",
    ),
    "fetch-too-long": ErrorText(
        "the fetch from {host} takes longer than its timeout of {why}; it is given up at {path}",
        f"set a longer timeout, or a larger page_size; {_LATER}{{more}}",
    ),
    # Tokens.
    "token-client-refused": ErrorText(
        f"{_TOKEN} does not accept our client id and secret ({{status}}){{said}}",
        "check consumer_key and secret_key with the API's owner{more}",
    ),
    "token-scope-refused": ErrorText(
        f"{_TOKEN} does not give the scopes that were asked for ({{status}}){{said}}",
        "asked for: {why}; write those that the API's owner names into scopes:{more}",
    ),
    "token-grant-refused": ErrorText(
        f"{_TOKEN} does not know client credentials as a grant ({{status}}){{said}}",
        "check token_url; the API's owner has to allow the grant client_credentials for our key{more}",
    ),
    "token-refused": ErrorText(
        f"{_TOKEN} gives no token ({{status}}){{said}}",
        "check token_url, consumer_key and secret_key with the API's owner{more}",
    ),
    "token-not-json": ErrorText(
        f"{_TOKEN} answers with {{why}} instead of a token ({{status}})",
        "check token_url: it looks like a page for people{more}",
    ),
    "token-unavailable": ErrorText(
        f"{_TOKEN} cannot give a token now: {{why}}",
        f"nothing to do: {_LATER}{{more}}",
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
    """said, why and more hold no secret and no control character; more is a half-sentence."""
    known = ERROR_TEXTS[code]
    values = {
        "host": host,
        "path": path,
        "status": status,
        "said": f": it says “{server_message}”" if server_message else "",
        "why": why,
        "more": f"; {extra_hint}" if extra_hint else "",
    }
    return Refusal([build_error(code, known.sentence.format(**values), hint=known.hint.format(**values))])


# What a server says of an error: imsx_StatusInfo of OneRoster 1.1 and 1.2, and OAuth 2's error (RFC 6749, 5.2).


#: Characters that are repeated of one text.
MAX_TEXT_LENGTH = 200

#: What an envelope of the information is called; some servers have none.
_ENVELOPES = ("imsx_StatusInfo", "imsx_statusInfo", "statusInfo", "statusInfoSet", "statusInfoPayload")
_MINOR = ("imsx_CodeMinor", "imsx_codeMinor")


def format_status_info(body: bytes, secrets: Iterable[str] = ()) -> str:
    """Major code, minor codes and description, such as `failure, invalid_filter_field: no such field`; empty where the
    body has none of them. secrets: texts that are never repeated."""
    info = next(_iter_status_infos(parse_json(body)), None)
    if info is None:
        return ""
    codes = [
        each for each in (sanitize_text(info.get("imsx_codeMajor"), secrets), *_iter_minor_codes(info, secrets)) if each
    ]
    description = sanitize_text(info.get("imsx_description"), secrets)
    return ": ".join(part for part in (", ".join(codes), description) if part)


def parse_oauth_error(body: bytes, secrets: Iterable[str] = ()) -> tuple[str, str]:
    """`error` and `error_description` of a token endpoint, each empty where it is not there."""
    document = parse_json(body)
    if not isinstance(document, dict):
        return "", ""
    return sanitize_text(document.get("error"), secrets), sanitize_text(document.get("error_description"), secrets)


def parse_json(body: bytes) -> Any:
    """The body as Python values; None where it is not JSON."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return None


def sanitize_text(value: object, secrets: Iterable[str] = ()) -> str:
    """A server's text in one line, cut, without what a terminal would obey; empty where it is not text."""
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
    """A plain string, or {imsx_codeMinorField: [{imsx_codeMinorFieldValue}]}."""
    for name in _MINOR:
        minor = info.get(name)
        yield sanitize_text(minor, secrets)
        fields = minor.get("imsx_codeMinorField") if isinstance(minor, dict) else None
        for field in fields[:3] if isinstance(fields, list) else [fields]:
            if isinstance(field, dict):
                yield sanitize_text(field.get("imsx_codeMinorFieldValue"), secrets)
