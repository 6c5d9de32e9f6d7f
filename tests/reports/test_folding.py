"""The same change in many customers is told once."""

from __future__ import annotations

from dataclasses import replace
from time import perf_counter

from hypothesis import given
from hypothesis import strategies as st

from reconciler.model.cause import ChangeCause
from reconciler.model.change import Create, FieldChange
from reconciler.model.diagnostic import Span
from reconciler.model.kind import Kind
from reconciler.model.plan import CATALOG, CustomerPlan
from reconciler.model.reason import Reason
from reconciler.reports.plan.folding import MOST_EXCEPTIONS, FoldResult, group_into_folds
from reconciler.reports.plan.people import PeopleVisibility
from reconciler.reports.plan.protections import build_weakening_rows
from tests.support.plans import reviewed as reviews
from tests.support.plans import samples


def customers(*fields: FieldChange) -> list[CustomerPlan]:
    return [
        reviews.changed(f"c-{number}", reviews.update(f"c-{number}", field)) for number, field in enumerate(fields, 1)
    ]


def left(folded: FoldResult) -> list[str]:
    return [customer.id for customer in folded.rest if customer.document_changes]


SAME = FieldChange("retention", "30d", "60d")


def test_two_customers_do_not_fold_and_three_do() -> None:
    assert group_into_folds(customers(SAME, SAME)).folds == ()
    folded = group_into_folds(customers(SAME, SAME, SAME))
    assert [each.customers for each in folded.folds] == [("c-1", "c-2", "c-3")]
    assert left(folded) == []
    assert folded.folds[0].origin == Span("customers/defaults.yaml", 12)


def test_other_value_is_an_exception_and_other_field_stays() -> None:
    several = customers(SAME, SAME, SAME, FieldChange("retention", "10d", "60d"), FieldChange("name", "A", "B"))
    folded = group_into_folds(several)
    assert [(each.customer, each.field.before) for each in folded.folds[0].exceptions] == [("c-4", "10d")]
    assert left(folded) == ["c-5"]


def test_many_exceptions_stay_with_their_customers() -> None:
    others = [FieldChange("retention", f"{number}d", "60d") for number in range(100, 101 + MOST_EXCEPTIONS)]
    folded = group_into_folds(customers(*([SAME] * 20), *others))
    assert folded.folds[0].exceptions == ()
    assert len(left(folded)) == MOST_EXCEPTIONS + 1


def test_other_causes_reasons_and_kinds_do_not_mix() -> None:
    mixed = [
        reviews.changed(f"c-{number}", reviews.update(f"c-{number}", SAME, cause=cause))
        for number, cause in enumerate((ChangeCause.PR, ChangeCause.PR, ChangeCause.PENDING, ChangeCause.DRIFT), 1)
    ]
    assert group_into_folds(mixed).folds == ()


def test_one_field_folds_while_others_of_its_document_stay() -> None:
    folded = group_into_folds(reviews.folded(10).customers)
    left_over = next(customer for customer in folded.rest if customer.id == "district-0003")
    assert [field.path for field in left_over.document_changes[0].fields] == ["name"]


def test_what_is_taken_away_or_held_never_folds() -> None:
    removed = samples.removed_from_git()
    several = [replace(removed, id=f"c-{number}") for number in range(5)]
    folded = group_into_folds(several)
    assert folded.folds == ()
    assert [customer.document_changes for customer in folded.rest] == [
        customer.document_changes for customer in several
    ]


def test_who_administers_and_who_is_protected_never_folds() -> None:
    personal = FieldChange("administrators.ann.email", "a@x.example", "b@x.example", personal=True)
    protect = FieldChange("rostering.protect", ["u-1"], [])
    assert group_into_folds(customers(*([personal] * 4))).folds == ()
    assert group_into_folds(customers(*([protect] * 4))).folds == ()


def test_new_customers_fold_whole_and_the_catalog_never_does() -> None:
    def new(number: int, kind: Kind = Kind.CUSTOMER) -> Create:
        origin = Span(f"customers/c-{number}/customer.yaml", 1)
        return Create(kind=kind, key=f"c-{number}", label=f"C {number}", reason=Reason.NEW, origin=origin)

    folded = group_into_folds(
        [samples.customer(f"c-{number}", document_changes=(new(number),)) for number in range(40)]
    )
    assert [(each.things, each.origin, each.field) for each in folded.folds] == [(40, None, None)]
    catalogue = samples.customer(CATALOG, document_changes=tuple(new(number, Kind.LESSON) for number in range(5)))
    assert group_into_folds([catalogue]).folds == ()


def test_several_documents_of_one_customer_are_counted() -> None:
    one = reviews.update("x", SAME)
    documents = tuple(replace(one, kind=Kind.COMMUNITY, key=f"school-{number}") for number in range(4))
    assert group_into_folds([reviews.changed("alone", *documents)]).folds == ()
    (only,) = group_into_folds([reviews.changed(f"c-{number}", *documents) for number in range(3)]).folds
    assert (len(only.customers), only.things) == (3, 12)


VALUES = st.sampled_from(["30d", "60d", None, ["a"], {"b": 1, "a": 2}])


@given(st.lists(st.tuples(st.sampled_from(["a", "b", ""]), VALUES, VALUES), max_size=30))
def test_every_field_is_told_exactly_once(values: list[tuple[str, object, object]]) -> None:
    several = customers(*(FieldChange(*each) for each in values))
    folded = group_into_folds(several)
    told = sum(each.things + len(each.exceptions) for each in folded.folds)
    kept = sum(len(change.fields) for customer in folded.rest for change in customer.document_changes)
    assert told + kept == len(several)
    assert group_into_folds(several) == folded


def test_folding_time_grows_linearly_with_customers() -> None:
    def seconds(number: int) -> float:
        plan = reviews.folded(number)
        return min(_timed(plan.customers) for _ in range(3))

    def _timed(every: tuple[CustomerPlan, ...]) -> float:
        started = perf_counter()
        group_into_folds(every)
        return perf_counter() - started

    assert seconds(3000) < 40 * seconds(300)


def test_a_weakened_protection_of_many_customers_is_one_row() -> None:
    rows = build_weakening_rows(reviews.folded(), PeopleVisibility.MASKED, samples.mask)
    assert [(len(row.customers), row.before) for row in rows] == [
        (0, ["127.0.0.1"]),
        (297, 10),
        (1, 20),
        (1, 20),
    ]
    assert rows[1].origin == Span("customers/defaults.yaml", 12)


def test_people_who_lose_their_protection_never_fold() -> None:
    plan = reviews.reviewed()
    several = replace(plan, customers=tuple(replace(plan.customers[0], id=f"c-{number}") for number in range(5)))
    rows = build_weakening_rows(several, PeopleVisibility.MASKED, samples.mask)
    protect = [row for row in rows if row.path == "rostering.protect"]
    assert len({str(row.before) for row in protect}) == 5
