"""What is removed for good, before and after: `purge`, `erase`, and the certificates that they leave."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from reconciler.model.kind import Kind
from reconciler.reports.plan.people import View
from reconciler.reports.plan.terminal import clean
from reconciler.reports.plan.wording import NOUNS, counted, moment, things

WIDTH = 80
INDENT = " " * 4

#: one and many, of what is counted by table, in the order in which it is told
NAMES: dict[str, tuple[str, str]] = {
    "customers": NOUNS[Kind.CUSTOMER],
    "accounts": NOUNS[Kind.USER],
    "enrollments": NOUNS[Kind.ENROLLMENT],
    "classes": NOUNS[Kind.CLASS],
    "orgs": NOUNS[Kind.ORG],
    "communities": NOUNS[Kind.COMMUNITY],
    "lessons": NOUNS[Kind.LESSON],
    "identities": ("identity", "identities"),
    "account_roles": ("role at a school", "roles at schools"),
    "memberships": ("membership", "memberships"),
    "assignments": ("assignment", "assignments"),
    "invitations": ("invitation", "invitations"),
    "journal": ("before-image", "before-images"),
    "documents": ("before-image of a document that names them", "before-images of documents that name them"),
    "roster_rows": ("row of the last roster", "rows of the last roster"),
    "sentences": ("sentence on what is held", "sentences on what is held"),
    "sessions": ("session", "sessions"),
    "last_sign_ins": ("last sign-in", "last sign-ins"),
    "throttles": ("log-in throttle", "log-in throttles"),
    "limit_uses": ("use of a limit", "uses of limits"),
    "issuers": ("issuer", "issuers"),
    "org_closure": ("place in the tree of orgs", "places in the tree of orgs"),
    "secrets": ("secret", "secrets"),
    "holds": ("hold", "holds"),
    "held_plans": ("plan that waits for approval", "plans that wait for approval"),
    "notices": ("notice", "notices"),
    "outbox": ("notification", "notifications"),
    "snapshots": ("last roster", "last rosters"),
    "erased": ("trace of somebody erased", "traces of people erased"),
}
#: Of these, how many there are says nothing to people.
UNTOLD = frozenset({"outbox_notices", "snapshot_parts", "syncs", "write_counters"})
#: What tombstones are of.
_DELETED = ("accounts", "enrollments", "classes", "orgs", "communities", "lessons")

ELSEWHERE = (
    "What lies outside the store is yours to delete: plan files saved with --out, roster files, backups, and the logs "
    "of CI."
)


@dataclass(frozen=True, slots=True)
class Past:
    """A customer's end of retention. days: the retention. cut: what was deleted before went past it. counts: rows by
    table. spans: by table, (rows, oldest, newest moment) of what was deleted itself. whole: when the customer was
    removed, where all of it goes; people: accounts that go with it. kept: plain sentences."""

    customer: str
    days: float
    cut: str
    counts: Mapping[str, int]
    spans: Mapping[str, tuple[int, str, str]]
    kept: tuple[str, ...]
    whole: str | None = None
    people: int = 0


@dataclass(frozen=True, slots=True)
class Issued:
    """A certificate. request: the reference given, or of a purge the moment before which everything was deleted."""

    id: int
    kind: str
    customer: str
    request: str | None
    at: str
    actor: str
    counts: Mapping[str, int]
    seal: str


@dataclass(frozen=True, slots=True)
class Wanted:
    """What an erasure would remove. whole: all of the customer. key, label: of the person, as they are known; facts: a
    few words on them. classes: titles."""

    customer: str
    counts: Mapping[str, int]
    whole: bool
    key: str = ""
    label: str = ""
    facts: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()


def purge_text(found: Iterable[Past]) -> str:
    """The totals first; then by customer what would go, since when, and what is kept all the same."""
    known = list(found)
    going = [each for each in known if each.counts]
    if not going:
        lines = ["Nothing is past its retention."]
    else:
        totals = {
            table: sum(each.counts.get(table, 0) for each in going)
            for table in ("customers", *_DELETED)
            if table in NAMES
        }
        of = counted(len(going), "customer", "customers")
        lines = _wrapped(
            f"To go for good, of {of}: {amounts(totals) or 'journal entries and what belongs to them'}.", ""
        )
    for each in known:
        if each.counts or each.kept:
            lines += ["", *_past(each)]
    return "\n".join(lines) + "\n"


def _past(each: Past) -> Iterator[str]:
    retention = counted(int(each.days), "day", "days") if each.days == int(each.days) else f"{each.days:g} days"
    yield f"{_name(each.customer)} · retention {retention} · deleted before {moment(each.cut)}"
    if each.whole is not None:
        yield from _wrapped(
            f"the whole customer, removed {moment(each.whole)}, with {things(each.people, Kind.USER)} live until then"
        )
    for table, (rows, oldest, newest) in each.spans.items():
        when = f"deleted {moment(oldest)}" if oldest == newest else f"deleted {moment(oldest)} to {moment(newest)}"
        yield from _wrapped(f"{counted(rows, *NAMES[table])}, {when if oldest else 'with their people'}")
    rest = {table: number for table, number in each.counts.items() if table not in each.spans}
    if rest:
        yield from _wrapped(f"{'with' if each.spans or each.whole else 'only'} {amounts(rest)}")
    for sentence in each.kept:
        yield from _wrapped(f"kept: {sentence}")


def erasure_text(wanted: Wanted, view: View, request: str) -> str:
    """Who or what would go, what with it, and that it is for good. view: who may be seen."""
    customer = _name(wanted.customer)
    if wanted.whole:
        lines = _wrapped(f"To erase, request {clean(request)}: all of {customer}.", "")
    else:
        lines = _wrapped(f"To erase, request {clean(request)}: 1 person of {customer}.", "")
        shown = view.key(Kind.USER, wanted.key)
        label = view.label(Kind.USER, wanted.key, wanted.label)
        name = f"{clean(label)} ({clean(shown)})" if label != shown else clean(shown)
        lines += ["", *_wrapped(" · ".join([name, *map(clean, wanted.facts)]))]
    lines += _wrapped(amounts(wanted.counts) or "nothing is left of it")
    if wanted.classes:
        lines += _wrapped(f"classes: {', '.join(map(clean, wanted.classes))}")
    if not wanted.whole:
        lines += ["", *_wrapped("No undo brings this person back, and no roster that still has their sourcedId.", "")]
    return "\n".join(lines) + "\n"


def certificate_text(issued: Issued) -> str:
    """Who removed what, when, at whose request, and the seal."""
    words = {"purge": "purged", "erase": "erased", "lift": "lifted"}[issued.kind]
    why = ""
    if issued.request:
        why = f"deleted before {moment(issued.request)}" if issued.kind == "purge" else f"request {issued.request}"
    head = [f"certificate {issued.id}", moment(issued.at), _name(issued.customer), words]
    lines = [
        "  ".join(head),
        *_wrapped(" · ".join([f"by {clean(issued.actor)}", *([clean(why)] if why else [])])),
        *_wrapped(amounts(issued.counts)),
        f"{INDENT}seal {issued.seal}",
    ]
    return "\n".join(lines) + "\n"


def certificates_text(issued: Iterable[Issued]) -> str:
    """Newest first."""
    known = [certificate_text(each) for each in issued]
    return "\n".join(reversed(known)) if known else "No certificates yet: nothing was removed for good.\n"


def amounts(counts: Mapping[str, int]) -> str:
    """`1 person, 3 enrollments`."""
    return ", ".join(counted(counts[table], *NAMES[table]) for table in NAMES if counts.get(table))


def _name(customer: str) -> str:
    return "catalogue" if customer.startswith("@") else clean(customer)


def _wrapped(text: str, indent: str = INDENT) -> list[str]:
    return textwrap.wrap(
        text, WIDTH, initial_indent=indent, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )
