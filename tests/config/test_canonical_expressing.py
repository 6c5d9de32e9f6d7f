"""Making a file say what the store has: whatever it said and inherits, exactly that and no more than needed."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.config.formatting.edit import update_mapping
from reconciler.config.formatting.format import format_canonical_text, parse_document
from reconciler.config.formatting.order import sort_keys
from reconciler.config.formatting.write import render_document
from reconciler.config.load.document import merge_inherited, remove_nulls
from reconciler.config.models.customer import Customer
from reconciler.config.validation.documents import build_document
from reconciler.config.yaml.reader import read_yaml
from reconciler.config.yaml.tree import MappingNode

PERSON = {"given_name": "A", "family_name": "B", "email": "a@b.example", "role": "admin"}
OWN: dict[str, Any] = {
    "kind": "customer",
    "id": "springfield",
    "name": "Springfield",
    "administrators": [{**PERSON, "username": "ann"}],
    "agreements": {"privacy_policy": "2026-08-01", "terms_of_service": "2026-08-01"},
}
ZIP = {"type": "zip"}
SFTP = {"type": "sftp", "host": "sftp.a.example", "username": "u", "path": "/r.zip", "password": {"secret": "sftp"}}
SFTP["host_key"] = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMA34UC1CH5tczeJU4dpKc3306gk4e+NYNJEcLPaRJxy"
API = {"type": "api", "url": "https://a.example/v1", "authorization": "oauth1", "consumer_key": "k"}
API["secret_key"] = {"secret": "one"}


def optional(choices: dict[str, list[Any]]) -> st.SearchStrategy[dict[str, Any]]:
    """Mappings with any of these keys, each with one of its values."""
    return st.fixed_dictionaries({}, optional={key: st.sampled_from(each) for key, each in choices.items()})


syncs = st.builds(
    lambda sync, more: {**sync, **more} if sync is not ZIP else ZIP,
    st.sampled_from([ZIP, SFTP, API]),
    st.sampled_from([{}, {"frequency": "auto", "period": "daily"}]),
)
rosterings = st.just({"type": "manual"}) | st.builds(
    lambda sync, more: {"type": "oneroster", "client_partner_id": "1", "match_with": "email", "sync": sync, **more},
    syncs,
    optional(
        {
            "limits": [{"users": {"percent": 20}}, {"window": "1d", "users": {"floor": 1, "per_school_percent": 3}}],
            "missing": ["keep", "delete"],
            "suffix": ["@x", "1.1"],
            "protect": [["a", "b"], ["b", "a", "1"]],
            "calendar": [[{"from": "2027-06-10", "to": "2027-08-20", "mode": "freeze"}]],
            "retention": ["7d", "30d"],
            "select": [{}, {"schools": ["s"]}, {"roles": ["student", "teacher"], "grades": ["05"]}],
        }
    ),
)
LMS = {"id": "canvas", "consumer_key": "c", "shared_secret": {"secret": "canvas"}, "community": "high"}
inheritable = st.builds(
    lambda some, rostering: {**some, **({"rostering": rostering} if rostering else {})},
    optional(
        {
            "timezone": ["UTC", "America/Chicago"],
            "status": ["active", "deactivated"],
            "support": [{"email": "a@b.example"}, {"url": "https://a.example"}],
            "profile": [{}, {"description": "one\ntwo", "phone": "555 0100"}, {"phone": "1e3"}],
            "lti": [
                {},
                {"platforms": [LMS]},
                {"platforms": [{**LMS, "id": "b", "shared_secret": {"generated": True}}]},
            ],
            "notify": [{"email": ["a@b.example"]}, {"webhook": "https://a.example"}],
        }
    ),
    st.none() | rosterings,
)
people = st.lists(st.sampled_from(["ann", "Bob", "1", "no"]), unique=True, min_size=1).map(
    lambda names: {"administrators": [{**PERSON, "username": name} for name in names]}
)
customers = st.builds(
    lambda more, who, where: {**OWN, **more, **who, **where},
    inheritable,
    people,
    optional(
        {
            "address": [
                {"country": "US"},
                {"street": ["1 Main"], "city": "Town", "postal_code": "02134", "country": "US"},
            ]
        }
    ),
)
nulls = st.dictionaries(st.sampled_from(["timezone", "support", "profile", "lti", "rostering"]), st.none())


def tree(document: dict[str, Any]) -> MappingNode:
    found, wrong = read_yaml(json.dumps(document).encode(), "x.yaml")
    assert found is not None
    assert not wrong
    return found


def said(text: str, inherited: MappingNode) -> dict[str, object]:
    own, _ = read_yaml(text.encode(), "customer.yaml")
    assert own is not None
    return build_document(Customer.model_validate(remove_nulls(merge_inherited(own, inherited))))


def expressed(text: str, wanted: Customer, inherited: MappingNode) -> str:
    document = parse_document(text.encode(), "customer.yaml")
    update_mapping(document.root, wanted, inherited)
    sort_keys(document.root, "customer")
    return render_document(document)


@settings(max_examples=40, deadline=None)
@given(customers, customers, nulls, inheritable)
def test_file_over_any_defaults_expresses_the_value_and_is_stable(
    wanted: dict[str, Any], own: dict[str, Any], unset: dict[str, Any], above: dict[str, Any]
) -> None:
    model = Customer.model_validate(tree(wanted))
    inherited = tree(above)
    before = "# head\n" + format_canonical_text(json.dumps({**own, **unset}).encode(), "customer.yaml")
    for text in ("{}", before):
        made = expressed(text, model, inherited)
        assert said(made, inherited) == build_document(model)
        assert expressed(made, model, inherited) == made == format_canonical_text(made.encode(), "customer.yaml")


def test_only_what_differs_is_changed_and_every_comment_stays() -> None:
    text = (
        "kind: customer\nid: springfield\nname: Springfield  # its name\n"
        "administrators:\n"
        "  # the first\n  - {given_name: A, family_name: B, email: a@b.example, username: ann, role: admin}\n"
        "  # the second\n  - {given_name: A, family_name: B, email: a@b.example, username: bob, role: admin}\n"
        "agreements: {privacy_policy: 2026-08-01, terms_of_service: 2026-08-01}\n"
        "# of the time\ntimezone: America/Denver  # wins\n"
        "support:\n  # of the mail\n  email: x@y.example\n"
    )
    wanted = Customer.model_validate({**OWN, "name": "Other", "timezone": "America/Chicago"})
    made = expressed(text, wanted, tree({"timezone": "America/Chicago", "status": "active"}))
    assert made == (
        "kind: customer\nid: springfield\nname: Other        # its name\n"
        "administrators:\n"
        "  # the first\n  - {given_name: A, family_name: B, email: a@b.example, username: ann, role: admin}\n"
        "  # the second\n"
        "agreements: {privacy_policy: 2026-08-01, terms_of_service: 2026-08-01}\n"
        "# of the time\n# wins\n# of the mail\n"
    )


def test_unset_inherited_value_is_null_and_inherited_is_omitted() -> None:
    wanted = Customer.model_validate({**OWN, "timezone": "America/Chicago"})
    made = expressed("{}", wanted, tree({"timezone": "America/Chicago", "support": {"email": "a@b.example"}}))
    assert "timezone" not in made
    assert "support: null\n" in made
    assert "status" not in made
