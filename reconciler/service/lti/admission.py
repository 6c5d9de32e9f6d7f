"""Decide which account a launch opens: the linked one, the roster's, a new one, or none."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from zoneinfo import ZoneInfo

from reconciler.model.role import Role
from reconciler.model.text_form import make_visible_form
from reconciler.service.lti.parameters import LaunchParameters
from reconciler.store.key import StoreKey
from reconciler.store.service import (
    AppliedCommunity,
    AppliedCustomer,
    AppliedLesson,
    AppliedPlatform,
    RequestDatabase,
    RowExistsError,
    RowsBusyError,
    people,
)

#: How often a launch tries again when another launch of the same person was quicker
_ATTEMPTS = 3


class AdmissionProblem(StrEnum):
    """Why a genuine launch opens no lesson. Nothing is created for any of them."""

    CUSTOMER_INACTIVE = "customer-inactive"
    LICENSE_MISSING = "license-missing"
    LICENSE_ENDED = "license-ended"
    NO_SEAT = "no-seat"
    UNKNOWN_LESSON = "unknown-lesson"
    SUSPENDED = "suspended"
    DELETED = "deleted"
    #: nobody is known by this user_id, and this launch may not make an account
    ACCOUNT_NEEDED = "account-needed"
    #: the roster's account is bound to another person of the same LMS
    BOUND_OTHERWISE = "bound-otherwise"
    #: the roster's account has a password: whoever knows it may link it
    PASSWORD_NEEDED = "password-needed"


class AdmissionRefusal(Exception):  # noqa: N818 - an outcome that a person reads, not a bug
    """Raised for a genuine launch that opens no lesson."""

    def __init__(self, problem: AdmissionProblem) -> None:
        super().__init__(problem.value)
        self.problem = problem


@dataclass(frozen=True, slots=True)
class Arrival:
    """A genuine launch, and where it leads."""

    customer: AppliedCustomer
    platform: AppliedPlatform
    community: AppliedCommunity
    #: None for the library
    lesson: AppliedLesson | None
    parameters: LaunchParameters

    @property
    def issuer(self) -> str:
        return people.name_lti_issuer(self.customer.id, self.platform.id)


@dataclass(frozen=True, slots=True)
class Admission:
    """Who arrived."""

    #: None for a guest, whom the LMS does not name
    account: int | None
    #: the account was made by this launch
    is_new: bool = False
    #: it was made without the e-mail address, which another account has
    lacks_email: bool = False


def find_destination(
    customer: AppliedCustomer, platform: AppliedPlatform, parameters: LaunchParameters, lesson: str, time: datetime
) -> Arrival:
    """Return where a launch leads.

    lesson: from the path, or else from the parameters; empty for the library. Raises AdmissionRefusal if the customer
    is deactivated, its license does not cover the customer's day, or the community has no such lesson.
    """
    if not customer.is_active:
        raise AdmissionRefusal(AdmissionProblem.CUSTOMER_INACTIVE)
    community = customer.communities.get(platform.community or "")
    if community is None:
        raise AdmissionRefusal(AdmissionProblem.LICENSE_MISSING)
    if not community.is_open(time.astimezone(ZoneInfo(customer.timezone)).date().isoformat()):
        raise AdmissionRefusal(AdmissionProblem.LICENSE_ENDED)
    wanted = lesson or parameters.lesson
    found = customer.find_lesson(community, wanted) if wanted else None
    if wanted and found is None:
        raise AdmissionRefusal(AdmissionProblem.UNKNOWN_LESSON)
    return Arrival(customer, platform, community, found, parameters)


def find_known(database: RequestDatabase, arrival: Arrival) -> Admission | None:
    """Return the admission of a person whom this LMS sent before, or of a guest; None for anybody else.

    Raises AdmissionRefusal for a deleted or suspended account.
    """
    subject = arrival.parameters.user_id
    if not subject:
        return Admission(None)
    person = people.find_linked_person(database, arrival.issuer, subject)
    return Admission(_require_usable(person).account) if person is not None else None


def admit_unknown(database: RequestDatabase, key: StoreKey, arrival: Arrival) -> Admission:
    """Bind or make the account of a person whom this LMS did not send before.

    key: the store's, which recognizes erased people. Raises AdmissionRefusal, and RowsBusyError if rows stay
    locked. Of several launches of one person at the same moment, one writes and the others find what it wrote.
    """
    for attempt in range(_ATTEMPTS):
        try:
            return _bind_or_create(database, key, arrival, is_contested=attempt > 0)
        except RowExistsError:
            known = find_known(database, arrival)
            if known is not None:
                return known
    raise RowsBusyError


def _bind_or_create(database: RequestDatabase, key: StoreKey, arrival: Arrival, *, is_contested: bool) -> Admission:
    rostered = _find_rostered(database, arrival)
    if rostered is not None:
        return _bind_rostered(database, arrival, rostered)
    role = arrival.parameters.role
    if not arrival.community.auto_provisioning or role is not Role.STUDENT:
        raise AdmissionRefusal(AdmissionProblem.ACCOUNT_NEEDED)
    sourced_id = _read_sourced_id(arrival)
    if sourced_id and people.is_erased(database, key, arrival.customer.number, sourced_id):
        raise AdmissionRefusal(AdmissionProblem.DELETED)
    return _create(database, arrival, role, is_contested=is_contested)


def _read_sourced_id(arrival: Arrival) -> str:
    """Return the sourcedId that the LMS sends for the person, in the form that the roster's have; empty for none."""
    return make_visible_form(arrival.parameters.get("lis_person_sourcedid"))


def _find_rostered(database: RequestDatabase, arrival: Arrival) -> people.Person | None:
    """Return the person of the roster whose sourcedId the LMS sends, deleted ones included; None if there is none."""
    sourced_id = _read_sourced_id(arrival)
    if not sourced_id or not arrival.customer.has_roster:
        return None
    customer = arrival.customer
    return people.find_rostered_person(database, customer.id, customer.number, "sourced_id", sourced_id)


def _bind_rostered(database: RequestDatabase, arrival: Arrival, person: people.Person) -> Admission:
    _require_usable(person)
    if person.has_password:
        raise AdmissionRefusal(AdmissionProblem.PASSWORD_NEEDED)
    subject, number = arrival.parameters.user_id, arrival.customer.number
    with database.open_transaction() as connection:
        if not people.bind_person(connection, number, arrival.issuer, subject, person.account):
            raise AdmissionRefusal(AdmissionProblem.BOUND_OTHERWISE)
    return Admission(person.account)


def _create(database: RequestDatabase, arrival: Arrival, role: Role, *, is_contested: bool) -> Admission:
    parameters, customer, community = arrival.parameters, arrival.customer, arrival.community
    newcomer = people.Newcomer(
        parameters.given_name or ("" if parameters.family_name else parameters.full_name),
        parameters.family_name,
        parameters.email,
        role,
        parameters.email.partition("@")[0] or parameters.full_name,
    )
    with database.open_transaction() as connection:
        if not people.take_seat(connection, community.number, community.seats):
            raise AdmissionRefusal(AdmissionProblem.NO_SEAT)
        account, lacks_email = people.create_person(connection, customer.number, newcomer, is_contested=is_contested)
        people.bind_person(connection, customer.number, arrival.issuer, parameters.user_id, account)
        people.add_member(connection, customer.number, community.number, account, role)
    return Admission(account, is_new=True, lacks_email=lacks_email)


def _require_usable(person: people.Person) -> people.Person:
    if person.is_deleted:
        raise AdmissionRefusal(AdmissionProblem.DELETED)
    if not person.is_active:
        raise AdmissionRefusal(AdmissionProblem.SUSPENDED)
    return person
