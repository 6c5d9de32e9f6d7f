"""Report permanent deletion: the data that `purge` and `erase` would delete, and the certificates they issue."""

import textwrap
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from reconciler.model.ids import CustomerId, Moment
from reconciler.model.kind import Kind
from reconciler.model.plan import ALL_CUSTOMERS
from reconciler.reports.plan.people import CustomerView
from reconciler.reports.plan.terminal import clean_text
from reconciler.reports.plan.wording import NOUNS, format_count, format_kind_count, format_moment

WIDTH = 80
INDENT = " " * 4

#: singular and plural of the rows of each table, in the order of reports
TABLE_NOUNS: dict[str, tuple[str, str]] = {
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
    "runs": ("run", "runs"),
    "documents": ("before-image of a document that names them", "before-images of documents that name them"),
    "roster_rows": ("row of the last roster", "rows of the last roster"),
    "sentences": ("sentence about held changes", "sentences about held changes"),
    "sessions": ("session", "sessions"),
    "last_sign_ins": ("last sign-in", "last sign-ins"),
    "throttles": ("sign-in throttle", "sign-in throttles"),
    "limit_uses": ("use of a limit", "uses of limits"),
    "issuers": ("issuer", "issuers"),
    "org_closure": ("position in the org tree", "positions in the org tree"),
    "secrets": ("secret", "secrets"),
    "holds": ("hold", "holds"),
    "held_plans": ("plan waiting for approval", "plans waiting for approval"),
    "notices": ("notice", "notices"),
    "outbox": ("notification", "notifications"),
    "snapshots": ("last roster", "last rosters"),
    "erased": ("anonymous record of an erasure", "anonymous records of erasures"),
}
#: tables whose number of rows means nothing to people
HIDDEN_TABLES = frozenset({"outbox_notices", "run_effects", "snapshot_parts", "syncs", "write_counters"})
#: tables with tombstones
_DELETED = ("accounts", "enrollments", "classes", "orgs", "communities", "lessons")

OUTSIDE_STORE_NOTICE = (
    "Delete data outside the store yourself: plan files saved with --out, roster files, backups and CI logs."
)


@dataclass(frozen=True, slots=True)
class RetentionReport:
    """The data of one customer that is past its retention."""

    customer: CustomerId
    #: the retention
    days: float
    #: ISO-8601 UTC; data deleted earlier is past its retention
    cutoff: Moment
    #: rows to delete, by table
    counts: Mapping[str, int]
    #: by table, the number of removed rows with the oldest and newest time of removal; empty times if only their people
    #: have one
    spans: Mapping[str, tuple[int, Moment, Moment]]
    #: sentences on the data that is kept
    retention_notes: tuple[str, ...]
    #: ISO-8601 UTC; None unless the whole customer is deleted
    customer_removed_at: Moment | None = None
    #: accounts that are deleted with the customer
    people: int = 0


@dataclass(frozen=True, slots=True)
class CertificateReport:
    id: int
    #: purge, erase, lift or seal
    kind: str
    customer: CustomerId
    #: reference of the request; for a purge, the time before which the data had been removed
    request: str | None
    at: Moment
    actor: str
    counts: Mapping[str, int]
    signature: str


@dataclass(frozen=True, slots=True)
class ErasureReport:
    """The data that an erasure would delete."""

    customer: CustomerId
    #: rows to delete, by table
    counts: Mapping[str, int]
    is_whole_customer: bool
    #: the person's sourcedId or username; empty for a whole customer
    key: str = ""
    #: the person's name
    label: str = ""
    #: a few words on the person
    facts: tuple[str, ...] = ()
    #: titles
    classes: tuple[str, ...] = ()


def render_purge_text(reports: Iterable[RetentionReport]) -> str:
    """Return the totals, then the data to delete and to keep of each customer."""
    known = list(reports)
    going = [each for each in known if each.counts]
    if not going:
        lines = ["Nothing is past its retention."]
    else:
        totals = {
            table: sum(each.counts.get(table, 0) for each in going)
            for table in ("customers", *_DELETED)
            if table in TABLE_NOUNS
        }
        of = format_count(len(going), "customer", "customers")
        lines = _wrap_text(
            f"To delete permanently, of {of}: {format_amounts(totals) or 'journal entries and what belongs to them'}.",
            "",
        )
    for each in known:
        if each.counts or each.retention_notes:
            lines += ["", *_format_retention_report(each)]
    return "\n".join(lines) + "\n"


def _format_retention_report(each: RetentionReport) -> Iterator[str]:
    retention = format_count(int(each.days), "day", "days") if each.days == int(each.days) else f"{each.days:g} days"
    yield (
        f"{_format_customer_name(each.customer)} · retention {retention} · deleted before {format_moment(each.cutoff)}"
    )
    if each.customer_removed_at is not None:
        yield from _wrap_text(
            f"the whole customer, removed {format_moment(each.customer_removed_at)}, with "
            f"{format_kind_count(each.people, Kind.USER)} active until then"
        )
    for table, (rows, oldest, newest) in each.spans.items():
        when = (
            f"deleted {format_moment(oldest)}"
            if oldest == newest
            else f"deleted {format_moment(oldest)} to {format_moment(newest)}"
        )
        yield from _wrap_text(f"{format_count(rows, *TABLE_NOUNS[table])}, {when if oldest else 'with their people'}")
    rest = {table: number for table, number in each.counts.items() if table not in each.spans}
    if rest:
        yield from _wrap_text(f"{'with' if each.spans or each.customer_removed_at else 'only'} {format_amounts(rest)}")
    for sentence in each.retention_notes:
        yield from _wrap_text(f"kept: {sentence}")


def render_erasure_text(erasure: ErasureReport, view: CustomerView, request: str) -> str:
    """Return the person or customer to erase with the data to delete. view: how to show people."""
    customer = _format_customer_name(erasure.customer)
    if erasure.is_whole_customer:
        lines = _wrap_text(f"To erase, request {clean_text(request)}: all of {customer}.", "")
    else:
        lines = _wrap_text(f"To erase, request {clean_text(request)}: 1 person of {customer}.", "")
        shown = view.mask_key(Kind.USER, erasure.key)
        label = view.mask_label(Kind.USER, erasure.key, erasure.label)
        name = f"{clean_text(label)} ({clean_text(shown)})" if label != shown else clean_text(shown)
        lines += ["", *_wrap_text(" · ".join([name, *map(clean_text, erasure.facts)]))]
    lines += _wrap_text(format_amounts(erasure.counts) or "nothing is left to erase")
    if erasure.classes:
        lines += _wrap_text(f"classes: {', '.join(map(clean_text, erasure.classes))}")
    if not erasure.is_whole_customer:
        lines += ["", *_wrap_text("Neither undo nor a roster with this sourcedId can restore this person.", "")]
    return "\n".join(lines) + "\n"


def render_certificate_text(certificate: CertificateReport) -> str:
    """Return a certificate: the data, time, actor, request and signature."""
    words = {"purge": "purged", "erase": "erased", "lift": "lifted", "seal": "sealed"}[certificate.kind]
    why = ""
    if certificate.request:
        why = (
            f"deleted before {format_moment(Moment(certificate.request))}"
            if certificate.kind == "purge"
            else f"request {certificate.request}"
        )
    head = [
        f"certificate {certificate.id}",
        format_moment(certificate.at),
        _format_customer_name(certificate.customer),
        words,
    ]
    lines = [
        "  ".join(head),
        *_wrap_text(" · ".join([f"by {clean_text(certificate.actor)}", *([clean_text(why)] if why else [])])),
        *_wrap_text(format_amounts(certificate.counts)),
        f"{INDENT}signature {certificate.signature}",
    ]
    return "\n".join(lines) + "\n"


def render_certificates_text(certificates: Iterable[CertificateReport]) -> str:
    """Return the certificates, newest first. certificates: oldest first."""
    known = [render_certificate_text(each) for each in certificates]
    return "\n".join(reversed(known)) if known else "No certificates yet: nothing was deleted permanently.\n"


def format_amounts(counts: Mapping[str, int]) -> str:
    """Return `1 person, 3 enrollments`. counts: by table."""
    return ", ".join(format_count(counts[table], *TABLE_NOUNS[table]) for table in TABLE_NOUNS if counts.get(table))


def _format_customer_name(customer: CustomerId) -> str:
    if customer == ALL_CUSTOMERS:
        return "all customers"
    return "catalog" if customer.startswith("@") else clean_text(customer)


def _wrap_text(text: str, indent: str = INDENT) -> list[str]:
    return textwrap.wrap(
        text, WIDTH, initial_indent=indent, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )
