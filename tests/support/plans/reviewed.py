"""Builds plans with a base, causes and weakened protections, and hostile ones."""

from __future__ import annotations

from dataclasses import replace

from reconciler.model.cause import ChangeCause
from reconciler.model.change import Change, Create, Delete, FieldChange, Update
from reconciler.model.diagnostic import Span, build_warning
from reconciler.model.kind import Kind
from reconciler.model.plan import CustomerPlan, GitBase, Hold, Outcome, OutsideBase, Plan
from reconciler.model.reason import Reason
from reconciler.model.weakening import Protection, Weakening
from tests.support.plans import samples

BASE = GitBase("origin/main", "4f1c2a9b7e5d3f60718293a4b5c6d7e8f9012345")
DEFAULTS = Span("customers/defaults.yaml", 12, 14)
LIMIT = "rostering.limits.users.percent"


def with_base(*customers: CustomerPlan, outside_base: OutsideBase | None = None) -> Plan:
    return replace(samples.plan(*customers), base=BASE, outside_base=outside_base or OutsideBase())


def update(
    customer: str, *fields: FieldChange, cause: ChangeCause | None = ChangeCause.PR, origin: Span = DEFAULTS
) -> Update:
    return Update(
        kind=Kind.CUSTOMER,
        key=customer,
        label=customer.title(),
        reason=Reason.DRIFT if cause is ChangeCause.DRIFT else Reason.FIELD_CHANGED,
        cause=cause,
        origin=origin,
        fields=tuple(replace(field, cause=cause) for field in fields),
    )


def limit_lifted(customer: str, before: object = 10, after: object = 60, origin: Span = DEFAULTS) -> Weakening:
    return Weakening(Protection.LIMIT, Kind.CUSTOMER, customer, LIMIT, before, after, origin)


def changed(id: str, *declared: Change, weakenings: tuple[Weakening, ...] = ()) -> CustomerPlan:
    return samples.customer(
        id, name=id.title(), document_changes=declared, counts=samples.counted({}, declared), weakenings=weakenings
    )


def reviewed() -> Plan:
    """A limit lifted by the pull request, a change merged and not applied, drift, and something removed."""
    own = Span("customers/springfield/customer.yaml", 40, 18)
    springfield = samples.removals(3)
    declared: tuple[Change, ...] = (update("springfield", FieldChange(LIMIT, 10, 60), origin=own),)
    springfield = replace(
        springfield,
        document_changes=declared,
        counts=samples.counted(springfield.roster, declared, 4284, 1),
        roster_applies=False,
        would_hold=("Lincoln Elementary (s-7) would lose everyone: 3 of 3.",),
        weakenings=(
            limit_lifted("springfield", origin=own),
            Weakening(
                Protection.PROTECT,
                Kind.CUSTOMER,
                "springfield",
                "rostering.protect",
                ["u-1041", "u-1"],
                ["u-1"],
                Span("customers/springfield/customer.yaml", 55, 5),
            ),
        ),
    )
    shelbyville = changed(
        "shelbyville",
        update("shelbyville", FieldChange("timezone", "UTC", "America/Chicago"), cause=ChangeCause.PENDING),
        Update(
            kind=Kind.COMMUNITY,
            key="shelbyville",
            label="Shelbyville",
            reason=Reason.DRIFT,
            cause=ChangeCause.DRIFT,
            origin=Span("customers/shelbyville/communities/shelbyville.yaml", 4, 22),
            fields=(FieldChange("site_license.seats", 900, 1200, cause=ChangeCause.DRIFT),),
        ),
    )
    ogdenville = samples.removed_from_git()
    ogdenville = replace(
        ogdenville, document_changes=tuple(replace(each, cause=ChangeCause.PR) for each in ogdenville.document_changes)
    )
    return with_base(springfield, shelbyville, ogdenville, outside_base=OutsideBase(pending=2, drifted=1))


def folded(customers: int = 300) -> Plan:
    """defaults.yaml lifts a limit: all customers but three follow, those have another value of their own."""
    every = []
    for number in range(1, customers + 1):
        id = f"district-{number:04}"
        fields = [FieldChange(LIMIT, 10, 60), FieldChange("retention", "30d", "60d")]
        weakened = [limit_lifted(id)]
        if number in (2, 17):
            fields[0] = FieldChange(LIMIT, 20, 60)
            weakened = [limit_lifted(id, before=20)]
        if number == 40:
            fields[0] = FieldChange(LIMIT, 10, 5)
            weakened = []
        if number == 3:
            fields.append(FieldChange("name", "Old District", "District 3"))
        declared: list[Change] = [update(id, *fields)]
        if number == 5:
            gone = Delete(
                kind=Kind.COMMUNITY,
                key="old-school",
                label="Old School",
                reason=Reason.REMOVED_FROM_GIT,
                cause=ChangeCause.PR,
                origin=Span(f"customers/{id}/communities/old-school.yaml"),
                held=True,
                impact={"people": 41},
            )
            declared.append(gone)
        plan = changed(id, *declared, weakenings=tuple(weakened))
        if number == 5:
            why = ("Its file was removed from the customers repository.",)
            plan = replace(plan, outcome=Outcome.HELD, hold=Hold(f"{id}:41:aa00bb", 41, 1, why))
        every.append(plan)
    own = Weakening(
        Protection.NETWORK,
        None,
        "",
        "network.allow",
        ["127.0.0.1"],
        ["10.0.0.0/8", "127.0.0.1"],
        Span("reconciler.yaml", 9, 3),
    )
    return replace(with_base(*every), weakenings=(own,))


def hostile(value: str) -> Plan:
    """The same value wherever somebody else's text can stand: names, paths, keys, values, files, messages."""
    place = Span(f"customers/{value}/customer.yaml", 3, 1)
    declared: tuple[Change, ...] = (
        Update(
            kind=Kind.CUSTOMER,
            key=value,
            label=value,
            reason=Reason.FIELD_CHANGED,
            cause=ChangeCause.PR,
            origin=place,
            fields=(FieldChange(f"profile.{value}", value, [value, value]), FieldChange("name", {value: value}, None)),
        ),
        Create(
            kind=Kind.COMMUNITY, key=f"c{value}", label=value, reason=Reason.NEW, cause=ChangeCause.PR, origin=place
        ),
        Delete(
            kind=Kind.LESSON,
            key=value,
            label=value,
            reason=Reason.REMOVED_FROM_GIT,
            cause=ChangeCause.PR,
            origin=place,
            held=True,
            impact={"assignments": 2, value or "none": 1},
        ),
    )
    leaving = samples.gone(Kind.USER, samples.person(f"u{value}", value, value), impact_classes=1)
    org = {"key": value or "o", "label": value, "name": value, "type": "school"}
    roster = {
        Kind.ORG: samples.frame(
            Kind.ORG,
            [
                samples.change(
                    samples.Action.UPDATE,
                    Reason.FIELD_CHANGED,
                    2,
                    samples.with_before(Kind.ORG, org, name=f"{value}{value}"),
                )
            ],
        ),
        Kind.USER: samples.frame(Kind.USER, [leaving]),
    }
    id = f"springfield{value}"
    customer = samples.customer(
        id,
        name=value,
        outcome=Outcome.HELD,
        source=samples.source(value),
        hold=Hold(f"{id}:1:00c0de", 1, 2, (f"{value} ({value}) would lose everyone: 1 of 1.", value)),
        diagnostics=(build_warning("odd-thing", value, place, value),),
        document_changes=declared,
        roster=roster,
        counts=samples.counted(roster, declared),
        limits=(samples.LimitUse(Kind.USER, samples.Action.DELETE, f"org:{value}", 3, 2, 9, value),),
        weakenings=(
            Weakening(Protection.GATE, Kind.CUSTOMER, value, f"rostering.{value}", value, {value: [value]}, place),
        ),
    )
    refused = samples.customer(f"refused{value}", name=value, outcome=Outcome.REFUSED, diagnostics=customer.diagnostics)
    several = [
        changed(f"{value}-{number}", update(f"{value}-{number}", FieldChange(value, value, f"{value}!")))
        for number in range(4)
    ]
    plan = with_base(customer, refused, *several, outside_base=OutsideBase(1, 2, 3))
    return replace(plan, base=GitBase(value, value))
