"""Everything that an API may do other than answer, each with its code, its sentence and what to do about it.

The braces of a sentence and a hint are filled by name: host, path (with limit and offset), status, said (what the
server says of it, in quotes and cut, or nothing), why, more (what else is known, as a further hint, or nothing).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from reconciler.model.diagnostic import Refusal, error


@dataclass(frozen=True, slots=True)
class Diagnosis:
    sentence: str
    hint: str


_TOKEN = "the token endpoint {host}"
_LATER = "the next fetch goes on from where this one was"

DIAGNOSES = {
    # What an answer says of itself.
    "unauthorized": Diagnosis(
        "{host} does not accept our sign-in for {path} (401){said}",
        "check consumer_key, secret_key and authorization with the API's owner{more}",
    ),
    "forbidden": Diagnosis(
        "{host} does not let us read {path} (403){said}",
        "the API's owner has to give our key the permission for it; that is not an empty collection{more}",
    ),
    "not-found": Diagnosis(
        "{host} has no {path} (404){said}",
        "check that url is the base address, such as https://HOST/ims/oneroster/v1p1; if it worked before, the module "
        "may have been switched off, or its licence has ended{more}",
    ),
    "bad-request": Diagnosis(
        "{host} does not understand the request for {path} ({status}){said}",
        "the server may bear a smaller page_size, or be of another version than the end of url says{more}",
    ),
    "unexpected-status": Diagnosis(
        "{host} answers {path} with status {status}, which is no answer{said}",
        "check url; roster probe shows more{more}",
    ),
    "server-error": Diagnosis(
        "{host} fails at {path} again and again ({status}){said}",
        f"the server's owner has to see to it; {_LATER}{{more}}",
    ),
    "server-busy": Diagnosis(
        "{host} is too busy for {path} whenever it is asked ({status}){said}",
        f"set network: requests_per_second: in reconciler.yaml, or fetch at another time; {_LATER}{{more}}",
    ),
    "asked-to-wait": Diagnosis(
        "{host} asks not to be asked before {why} ({status}){said}",
        f"nothing to do: {_LATER}, if it is after that{{more}}",
    ),
    # Where it leads.
    "redirect-refused": Diagnosis(
        "{host} sends {path} elsewhere: {why}; nothing was sent there",
        "a sign-in page or a moved server; write the API's address of today into url{more}",
    ),
    "link-refused": Diagnosis(
        "{host} names a next page elsewhere: {why}; nothing was sent there",
        "the server's owner has to set its public address right{more}",
    ),
    # What is in it.
    "not-json": Diagnosis(
        "{host} answers {path} with {why} instead of JSON",
        "a sign-in page, a proxy or a captive portal may stand between; check url, and open it from this machine{more}",
    ),
    "broken-json": Diagnosis(
        "{host} answers {path} with JSON that breaks off or cannot be read, whenever it is asked",
        f"the server's owner has to see to it; a smaller page_size may help; {_LATER}{{more}}",
    ),
    "empty-answer": Diagnosis(
        "{host} answers {path} with nothing at all ({status})",
        "an empty collection would be an empty list; the server's owner has to see to it{more}",
    ),
    "answer-too-large": Diagnosis(
        "{host} answers {path} with more than {why}",
        "set a smaller page_size{more}",
    ),
    "unknown-encoding": Diagnosis(
        "{host} packs {path} in a way that was not asked for ({why})",
        "a proxy between may do so; the server's owner has to see to it{more}",
    ),
    # What becomes of it on the way.
    "no-answer-in-time": Diagnosis(
        "{host} does not answer {path} in time, whenever it is asked",
        f"a smaller page_size may help; {_LATER}{{more}}",
    ),
    "connection-dropped": Diagnosis(
        "{host} drops the connection within {path}, whenever it is asked",
        f"a smaller page_size may help; {_LATER}{{more}}",
    ),
    "fetch-too-long": Diagnosis(
        "the fetch from {host} takes longer than its timeout of {why}; it is given up at {path}",
        f"set a longer timeout, or a larger page_size; {_LATER}{{more}}",
    ),
    # Tokens.
    "token-client-refused": Diagnosis(
        f"{_TOKEN} does not accept our client id and secret ({{status}}){{said}}",
        "check consumer_key and secret_key with the API's owner{more}",
    ),
    "token-scope-refused": Diagnosis(
        f"{_TOKEN} does not give the scopes that were asked for ({{status}}){{said}}",
        "asked for: {why}; write those that the API's owner names into scopes:{more}",
    ),
    "token-grant-refused": Diagnosis(
        f"{_TOKEN} does not know client credentials as a grant ({{status}}){{said}}",
        "check token_url; the API's owner has to allow the grant client_credentials for our key{more}",
    ),
    "token-refused": Diagnosis(
        f"{_TOKEN} gives no token ({{status}}){{said}}",
        "check token_url, consumer_key and secret_key with the API's owner{more}",
    ),
    "token-not-json": Diagnosis(
        f"{_TOKEN} answers with {{why}} instead of a token ({{status}})",
        "check token_url: it looks like a page for people{more}",
    ),
    "token-unavailable": Diagnosis(
        f"{_TOKEN} cannot give a token now: {{why}}",
        f"nothing to do: {_LATER}{{more}}",
    ),
}


def refused(
    code: str, host: str, path: str = "", *, status: int = 0, said: str = "", why: str = "", more: str = ""
) -> Refusal:
    """said, why and more hold no secret and no control character; more is a half-sentence."""
    known = DIAGNOSES[code]
    values = {
        "host": host,
        "path": path,
        "status": status,
        "said": f": it says “{said}”" if said else "",
        "why": why,
        "more": f"; {more}" if more else "",
    }
    return Refusal([error(code, known.sentence.format(**values), hint=known.hint.format(**values))])


# What a server says of an error: imsx_StatusInfo of OneRoster 1.1 and 1.2, and OAuth 2's error (RFC 6749, 5.2).


#: Characters that are repeated of one text.
CUT = 200

#: What an envelope of the information is called; some servers have none.
_ENVELOPES = ("imsx_StatusInfo", "imsx_statusInfo", "statusInfo", "statusInfoSet", "statusInfoPayload")
_MINOR = ("imsx_CodeMinor", "imsx_codeMinor")


def said(body: bytes, secrets: Iterable[str] = ()) -> str:
    """Major code, minor codes and description, such as `failure, invalid_filter_field: no such field`; empty where the
    body has none of them. secrets: texts that are never repeated."""
    info = next(_infos(parsed(body)), None)
    if info is None:
        return ""
    codes = [each for each in (text(info.get("imsx_codeMajor"), secrets), *_minor(info, secrets)) if each]
    description = text(info.get("imsx_description"), secrets)
    return ": ".join(part for part in (", ".join(codes), description) if part)


def oauth_error(body: bytes, secrets: Iterable[str] = ()) -> tuple[str, str]:
    """`error` and `error_description` of a token endpoint, each empty where it is not there."""
    document = parsed(body)
    if not isinstance(document, dict):
        return "", ""
    return text(document.get("error"), secrets), text(document.get("error_description"), secrets)


def parsed(body: bytes) -> Any:
    """The body as Python values; None where it is not JSON."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return None


def text(value: object, secrets: Iterable[str] = ()) -> str:
    """A server's text in one line, cut, without what a terminal would obey; empty where it is not text."""
    if not isinstance(value, str):
        return ""
    for secret in secrets:
        if secret:
            value = value.replace(secret, "…")
    line = "".join(sign for sign in " ".join(value.split()) if sign.isprintable())
    return line if len(line) <= CUT else line[: CUT - 1] + "…"


def _infos(document: Any) -> Iterator[Mapping[str, Any]]:
    if not isinstance(document, dict):
        return
    if "imsx_codeMajor" in document or "imsx_description" in document:
        yield document
    for name in _ENVELOPES:
        inner = document.get(name)
        for each in inner if isinstance(inner, list) else [inner]:
            yield from _infos(each)


def _minor(info: Mapping[str, Any], secrets: Iterable[str]) -> Iterator[str]:
    """A plain string, or {imsx_codeMinorField: [{imsx_codeMinorFieldValue}]}."""
    for name in _MINOR:
        minor = info.get(name)
        yield text(minor, secrets)
        fields = minor.get("imsx_codeMinorField") if isinstance(minor, dict) else None
        for field in fields[:3] if isinstance(fields, list) else [fields]:
            if isinstance(field, dict):
                yield text(field.get("imsx_codeMinorFieldValue"), secrets)
