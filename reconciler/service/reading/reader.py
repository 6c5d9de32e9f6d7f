"""Find out who reads: the session of a frame or of a tab, as long as account, customer and license are in order."""

from dataclasses import dataclass

from starlette.datastructures import Headers

from reconciler import clock
from reconciler.service.cookies import Place, read_cookie
from reconciler.service.site import Site
from reconciler.store.service import AppliedCommunity, AppliedCustomer, people, visits


@dataclass(frozen=True, slots=True)
class Reader:
    """Somebody who is signed in, or a guest of an LMS."""

    customer: AppliedCustomer
    community: AppliedCommunity
    #: None for a guest
    person: people.Person | None
    place: Place
    #: origins of the LMS that sent them, which may show the page in a frame
    origins: tuple[str, ...]

    @property
    def name(self) -> str:
        """Return the name that the page shows."""
        if self.person is None:
            return "Guest"
        whole = " ".join(part for part in (self.person.given_name, self.person.family_name) if part)
        return whole or f"Learner {self.person.account % 0x10000:04X}"


def is_framed(headers: Headers) -> bool:
    """Return whether the browser says that it asks for a page in a frame."""
    return headers.get("sec-fetch-dest", "") in ("iframe", "frame")


def find_reader(site: Site, headers: Headers) -> Reader | None:
    """Return who reads, or None if nobody is signed in or may stay signed in. A frame's own session comes first.

    An account that was deleted, suspended or merged, a deactivated customer, a removed LMS and an ended license end the
    session at this request, whoever changed them.
    """
    for place in (Place.FRAME, Place.TAB) if is_framed(headers) else (Place.TAB, Place.FRAME):
        token = read_cookie(headers, place, is_secure=site.is_secure)
        session = visits.find_session(site.database, token, site.get_moment()) if token else None
        if session is not None:
            reader = resolve_session(site, session, place)
            if reader is not None:
                return reader
    return None


def resolve_session(site: Site, session: visits.Session, place: Place) -> Reader | None:
    """Return who reads in a session, or None if account, customer, LMS or license no longer allow it."""
    customer = site.configurations.find_customer(session.data["customer"])
    community = customer.communities.get(session.data["community"]) if customer is not None else None
    if customer is None or community is None or not customer.is_active:
        return None
    platform = customer.platforms.get(session.data.get("platform", ""))
    if session.data.get("platform") and platform is None:
        return None
    if not community.is_open(clock.get_current_day(customer.timezone)):
        return None
    person = None
    if session.account:
        person = people.find_account(site.database, session.account)
        if person is None or person.is_deleted or not person.is_active:
            return None
    return Reader(customer, community, person, place, platform.origins if platform else ())
