"""`previously`: what a document cannot have been called is an error where it is written."""

from __future__ import annotations

import pytest

from tests.support.customers.files import Files


def told(files: Files) -> list[tuple[str, str]]:
    """Code and place of every error."""
    return [(each.code, str(each.span)) for each in files.load().errors]


def test_former_ids_work_for_every_kind_without_warning(files: Files) -> None:
    files.customer("previously: [older, old]\n")
    files.community("previously: [middle]\n")
    files.lesson("customers/springfield", more="previously: [atoms]\n")
    files.lesson("customers", more="previously: [atoms]\n")
    assert files.codes() == []


@pytest.mark.parametrize("kind", ["customer", "community", "lesson", "catalogue"])
def test_its_own_id_is_no_former_one(files: Files, kind: str) -> None:
    own = {
        "customer": ("previously: [old, springfield]\n", "", "", ""),
        "community": ("", "previously: [old, high]\n", "", ""),
        "lesson": ("", "", "previously: [old, cells]\n", ""),
        "catalogue": ("", "", "", "previously: [old, cells]\n"),
    }[kind]
    files.customer(own[0])
    files.community(own[1])
    files.lesson("customers/springfield", more=own[2])
    files.lesson("customers", more=own[3])
    place = {
        "customer": "customers/springfield/customer.yaml:7:19",
        "community": "customers/springfield/communities/high.yaml:5:19",
        "lesson": "customers/springfield/lessons/cells.yaml:5:19",
        "catalogue": "customers/lessons/cells.yaml:5:19",
    }[kind]
    assert told(files) == [("former-id-is-own", place)]


def test_former_id_claimed_twice_is_an_error_at_both(files: Files) -> None:
    files.customer("previously: [district]\n")
    files.customer("previously: [district]\n", name="shelbyville")
    assert told(files) == [
        ("former-id-taken", "customers/shelbyville/customer.yaml:7:14"),
        ("former-id-taken", "customers/springfield/customer.yaml:7:14"),
    ]
    assert "also listed at customers/springfield/customer.yaml:7:14" in files.said()


def test_a_former_id_named_twice_is_an_error(files: Files) -> None:
    files.customer("")
    files.community("previously: [middle, middle]\n")
    assert [code for code, _ in told(files)] == ["former-id-taken", "former-id-taken"]


def test_communities_of_two_customers_may_have_had_one_id(files: Files) -> None:
    for name in ("springfield", "shelbyville"):
        files.customer(name=name)
        files.community("previously: [middle]\n", of=name)
    assert told(files) == []


def test_former_id_in_use_by_another_is_an_error(files: Files) -> None:
    files.customer("previously: [shelbyville]\n")
    files.customer(name="shelbyville")
    files.community("previously: [low]\n")
    files.community(name="low")
    assert told(files) == [
        ("former-id-in-use", "customers/springfield/communities/high.yaml:5:14"),
        ("former-id-in-use", "customers/springfield/customer.yaml:7:14"),
    ]


def test_renamed_document_may_pass_on_its_id(files: Files) -> None:
    files.customer("previously: [shelbyville]\n")
    files.customer("previously: [ogdenville]\n", name="shelbyville")
    files.community("previously: [low]\n")
    files.community("previously: [high]\n", name="low")
    assert told(files) == [], "communities may even change ids among themselves"


def test_ids_of_customers_cannot_go_round(files: Files) -> None:
    files.customer("previously: [shelbyville]\n")
    files.customer("previously: [springfield]\n", name="shelbyville")
    assert told(files) == [
        ("former-ids-go-round", "customers/shelbyville/customer.yaml:7:14"),
        ("former-ids-go-round", "customers/springfield/customer.yaml:7:14"),
    ]


def test_what_is_no_id_is_told_once(files: Files) -> None:
    files.customer("previously: [Old Name]\n")
    assert told(files) == [("invalid-id", "customers/springfield/customer.yaml:7:14")]


def test_invalid_customer_protects_its_former_id_from_removal(files: Files) -> None:
    files.customer("previously: [old]\nnmae: x\n")
    assert set(files.load().invalid) == {"springfield", "old"}


def test_valid_customer_stays_valid_when_its_id_is_claimed(files: Files) -> None:
    files.customer("previously: [shelbyville]\nnmae: x\n")
    files.customer(name="shelbyville")
    assert set(files.load().customers) == {"shelbyville"}
