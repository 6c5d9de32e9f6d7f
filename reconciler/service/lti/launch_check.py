"""Decide whether a launch is genuine: an LMS that a customer declared signed exactly this, just now."""

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from reconciler.service.form import Fields, UnreadableFormError, parse_form
from reconciler.service.lti.parameters import MAX_ID, LaunchParameters
from reconciler.service.lti.signature import SignatureMethod, build_base_string, check_signature, normalize_url

#: How far the LMS's clock and ours may be apart, in both directions
CLOCK_WINDOW = timedelta(minutes=5)
#: LTI 1.1, section 4: what a launch and the choice of content are called
LAUNCH_MESSAGE = "basic-lti-launch-request"
CONTENT_MESSAGE = "ContentItemSelectionRequest"
#: Old Ruby senders write the second one.
VERSIONS = frozenset({"LTI-1p0", "LTI-1.0"})
#: Parameters that decide who arrives, where, and how it is checked: one that is sent twice could be read in two ways.
DECISIVE = re.compile(
    r"oauth_.*|lti_.*|lis_.*|custom_.*|ext_.*|user_id|roles|role_scope_mentor|context_id|resource_link_id"
    r"|tool_consumer_instance_guid|tool_consumer_info_.*|launch_presentation_return_url|content_item_return_url|data"
)
_TIMESTAMP = re.compile(r"[0-9]{1,12}")
_REQUIRED = ("oauth_signature", "oauth_signature_method", "oauth_timestamp", "oauth_nonce")

#: Stands for the secret of a key that nobody has, so that an unknown key takes as long as a wrong signature.
_NOBODYS_SECRET = secrets.token_urlsafe(32)


class LaunchProblem(StrEnum):
    """Why a launch was refused. `pages` has the page that people read for each."""

    #: the body is not a form, or is larger than any that an LMS sends
    UNREADABLE = "unreadable"
    #: a decisive parameter was sent twice
    REPEATED = "repeated"
    #: not signed, or not as OAuth 1.0 requires
    UNSIGNED = "unsigned"
    UNKNOWN_KEY = "unknown-key"
    WRONG_SIGNATURE = "wrong-signature"
    #: the signature is right for http, where ours is https, or the other way around
    WRONG_SCHEME = "wrong-scheme"
    #: signed with a method that the platform may not use
    WRONG_METHOD = "wrong-method"
    #: signed too long ago, or in the future
    EXPIRED = "expired"
    #: this very launch has arrived before
    REPLAYED = "replayed"
    #: not an LTI 1.1 launch
    WRONG_MESSAGE = "wrong-message"
    #: a required parameter is missing or too long
    INCOMPLETE = "incomplete"


#: Problems that get the same answer after the same time, because the difference would tell a stranger which keys exist.
INDISTINCT = frozenset(
    {LaunchProblem.UNKNOWN_KEY, LaunchProblem.WRONG_SIGNATURE, LaunchProblem.WRONG_SCHEME, LaunchProblem.WRONG_METHOD}
)


class LaunchRefusal(Exception):  # noqa: N818 - an outcome that a person reads, not a bug
    """Raised for a launch that is not accepted."""

    def __init__(self, problem: LaunchProblem, detail: str = "", *, parameters: LaunchParameters | None = None) -> None:
        super().__init__(problem.value)
        self.problem = problem
        #: for whoever sets up the LMS: the parameter, or by how many seconds the clock differs; never a value
        self.detail = detail
        #: what the launch says, if its signature was right; else nothing of it is believed
        self.parameters = parameters


@dataclass(frozen=True, slots=True)
class PlatformSecrets:
    """What an LMS may sign with."""

    #: the current one, and the previous one while the LMS is switched over
    secrets: tuple[str, ...]
    methods: frozenset[SignatureMethod] = frozenset({SignatureMethod.HMAC_SHA1})
    #: the LMS repeats the parameters of the launch URL in the body, and signs them once (Instructure's ims-lti 1.2)
    is_query_repeated: bool = False


@dataclass(frozen=True, slots=True)
class LaunchRequest:
    """A launch as it arrived, with nothing of it believed yet."""

    #: the public URL without its query
    url: str
    query: Fields
    body: Fields
    values: Mapping[str, str]
    consumer_key: str
    nonce: str
    timestamp: int


def read_launch(url: str, query: bytes, body: bytes) -> LaunchRequest:
    """Return a launch with its OAuth parameters.

    url: the public URL that the LMS was given. query: raw, without the question mark. Raises LaunchRefusal for a body
    that is not a form, decisive parameters that are sent twice, and a launch without a signature.
    """
    try:
        query_fields, body_fields = parse_form(query), parse_form(body)
    except UnreadableFormError as problem:
        raise LaunchRefusal(LaunchProblem.UNREADABLE, problem.problem.value) from None
    values = _index_fields(query_fields, body_fields)
    key = values.get("oauth_consumer_key", "")
    missing = next((name for name in _REQUIRED if not values.get(name)), None if key else "oauth_consumer_key")
    if missing:
        raise LaunchRefusal(LaunchProblem.UNSIGNED, missing)
    if values.get("oauth_version", "1.0") != "1.0":
        raise LaunchRefusal(LaunchProblem.UNSIGNED, "oauth_version")
    if not _TIMESTAMP.fullmatch(values["oauth_timestamp"]):
        raise LaunchRefusal(LaunchProblem.UNSIGNED, "oauth_timestamp")
    long = next((name for name in ("oauth_consumer_key", "oauth_nonce") if len(values[name]) > MAX_ID), None)
    if long:
        raise LaunchRefusal(LaunchProblem.UNSIGNED, long)
    return LaunchRequest(
        url, query_fields, body_fields, values, key, values["oauth_nonce"], int(values["oauth_timestamp"])
    )


def check_launch(request: LaunchRequest, platform: PlatformSecrets | None, now: int) -> LaunchParameters:
    """Return what the launch says, if the platform signed it within the last minutes.

    platform: None if nobody has the consumer key. now: seconds since 1970. Raises LaunchRefusal. The
    caller still has to check that the nonce is new (RFC 5849, section 3.3).
    """
    if platform is None:
        _check_signed(request, PlatformSecrets((_NOBODYS_SECRET,)))
        raise LaunchRefusal(LaunchProblem.UNKNOWN_KEY)
    problem = _check_signed(request, platform)
    if problem is not None:
        raise LaunchRefusal(problem)
    parameters = LaunchParameters(request.values)
    apart = request.timestamp - now
    if abs(apart) > CLOCK_WINDOW.total_seconds():
        raise LaunchRefusal(LaunchProblem.EXPIRED, f"{apart:+d}", parameters=parameters)
    _check_message(parameters)
    return parameters


def _index_fields(query: Fields, body: Fields) -> dict[str, str]:
    """Return the values by name. A parameter of the query that the body repeats with the same value counts once."""
    values: dict[str, str] = dict(query)
    if len(values) != len(query):
        _refuse_repeated(query)
    seen: set[str] = set()
    for name, value in body:
        if (name in seen or values.get(name, value) != value) and DECISIVE.fullmatch(name):
            raise LaunchRefusal(LaunchProblem.REPEATED, name)
        seen.add(name)
        values.setdefault(name, value)
    return values


def _refuse_repeated(fields: Fields) -> None:
    seen: set[str] = set()
    for name, _ in fields:
        if name in seen and DECISIVE.fullmatch(name):
            raise LaunchRefusal(LaunchProblem.REPEATED, name)
        seen.add(name)


def _check_signed(request: LaunchRequest, platform: PlatformSecrets) -> LaunchProblem | None:
    """Return what is wrong with the signature, or None."""
    try:
        method = SignatureMethod(request.values["oauth_signature_method"])
    except ValueError:
        method = None
    is_allowed = method in platform.methods
    signed = method if method is not None and is_allowed else SignatureMethod.HMAC_SHA1
    fields = request.body if platform.is_query_repeated and _is_within(request.query, request.body) else None
    fields = (*request.query, *request.body) if fields is None else fields
    signature = request.values["oauth_signature"]
    base = build_base_string("POST", normalize_url(request.url), fields)
    if check_signature(base, signature, platform.secrets, signed):
        return None if is_allowed else LaunchProblem.WRONG_METHOD
    other = build_base_string("POST", normalize_url(_switch_scheme(request.url)), fields)
    if check_signature(other, signature, platform.secrets, signed):
        return LaunchProblem.WRONG_SCHEME
    return LaunchProblem.WRONG_SIGNATURE if is_allowed else LaunchProblem.WRONG_METHOD


def _is_within(query: Fields, body: Fields) -> bool:
    return bool(query) and set(query) <= set(body)


def _switch_scheme(url: str) -> str:
    scheme, _, rest = url.partition("://")
    return f"{'http' if scheme.lower() == 'https' else 'https'}://{rest}"


def _check_message(parameters: LaunchParameters) -> None:
    """Raise LaunchRefusal unless this is an LTI 1.1 message with all required parameters, none of them too long."""
    if parameters.get("lti_version") not in VERSIONS:
        raise LaunchRefusal(LaunchProblem.WRONG_MESSAGE, "lti_version", parameters=parameters)
    if parameters.message_type not in (LAUNCH_MESSAGE, CONTENT_MESSAGE):
        raise LaunchRefusal(LaunchProblem.WRONG_MESSAGE, "lti_message_type", parameters=parameters)
    if parameters.message_type == LAUNCH_MESSAGE and not parameters.resource_link_id:
        raise LaunchRefusal(LaunchProblem.INCOMPLETE, "resource_link_id", parameters=parameters)
    for name in ("user_id", "resource_link_id", "context_id", "lis_person_sourcedid", "custom_lesson"):
        if len(parameters.get(name)) > MAX_ID:
            raise LaunchRefusal(LaunchProblem.INCOMPLETE, name, parameters=parameters)
