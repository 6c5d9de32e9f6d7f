"""Documents: what is kept of a configuration, and that it comes back as it was."""

from __future__ import annotations

import json

from reconciler.config.repository import ConfigDocument
from reconciler.config.validation.documents import (
    parse_community_document,
    parse_customer_document,
    parse_lesson_document,
)
from tests.support.customers.files import Files

EVERYTHING = """\
lti:
  platforms:
    - id: moodle
      consumer_key: m
      shared_secret: {generated: true}
      origins: ["https://M.example:8443"]
      community: high
    - {id: canvas, consumer_key: c, shared_secret: {secret: canvas}, previous_secret: {secret: old}, community: high}
rostering:
  type: oneroster
  client_partner_id: 010
  match_with: email
  sync: {type: zip}
  calendar: [{from: 2027-06-10, to: 2027-08-20, mode: adds_only}]
  limits: {window: 48h}
  select: {roles: [student]}
  retention: 24h
address: {street: [Main St 1], country: US, postal_code: 02134}
notify: {email: [z@b.example, a@b.example]}
"""


def declared(files: Files) -> tuple[ConfigDocument, ...]:
    files.customer(EVERYTHING)
    files.community(
        "join_links: [{role: student}, {role: instructor}]\nlessons: [cells]\nmembers: {roles: [teacher]}\n"
    )
    files.lesson("customers/springfield")
    return files.load().customers["springfield"].documents


def test_document_is_json_with_sorted_keys_and_defaults(files: Files) -> None:
    customer, community, lesson = declared(files)
    for each in (customer, community, lesson):
        assert json.dumps(each.document) == json.dumps(each.document, sort_keys=True)
    assert community.document == {
        "id": "high",
        "join_links": {"instructor": {"role": "instructor"}, "student": {"role": "student"}},
        "kind": "community",
        "lessons": ["cells"],
        "login_timeout": "8h",
        "lti": {"auto_provisioning": False},
        "members": {"roles": ["teacher"]},
        "name": "High",
        "previously": [],
        "site_license": {"ends": "2027-07-31", "seats": 100, "starts": "2026-08-01"},
    }


def test_lists_of_items_with_ids_are_mappings(files: Files) -> None:
    document = declared(files)[0].document
    assert list(document["administrators"]) == ["ann"]  # type: ignore[call-overload]
    assert list(document["lti"]["platforms"]) == ["canvas", "moodle"]  # type: ignore[index]


def test_order_matters_only_in_lists_without_ids(files: Files) -> None:
    first = declared(files)[0].document
    files.customer(EVERYTHING.replace("[z@b.example, a@b.example]", "[a@b.example, z@b.example]"))
    assert files.load().customers["springfield"].documents[0].document != first
    lines = EVERYTHING.splitlines(keepends=True)
    files.customer("".join([*lines[:2], lines[7], *lines[2:7], *lines[8:]]))
    assert files.load().customers["springfield"].documents[0].document == first


def test_secrets_are_references_and_durations_have_one_form(files: Files) -> None:
    document = json.loads(json.dumps(declared(files)[0].document))
    assert document["lti"]["platforms"]["canvas"]["shared_secret"] == {"secret": "canvas"}
    assert document["lti"]["platforms"]["moodle"]["shared_secret"] == {"generated": True}
    assert document["rostering"]["limits"]["window"] == "2d"
    assert document["rostering"]["retention"] == "1d"
    assert document["rostering"]["client_partner_id"] == "010"
    assert document["rostering"]["calendar"][0]["from"] == "2027-06-10"


def test_documents_read_back_as_their_models(files: Files) -> None:
    customer, community, lesson = declared(files)
    resolved = files.load().customers["springfield"]
    assert parse_customer_document(json.loads(json.dumps(customer.document))).model_dump() == {
        **resolved.customer.model_dump(),
        "lti": {"platforms": tuple(reversed(resolved.customer.model_dump()["lti"]["platforms"]))},
    }
    assert set(parse_community_document(community.document).join_links) == set(resolved.communities["high"].join_links)
    assert parse_lesson_document(lesson.document) == resolved.lessons["cells"]


def test_document_valid_when_applied_stays_valid_later(files: Files) -> None:
    document = dict(declared(files)[0].document)
    document["agreements"] = {"privacy_policy": "2999-01-01", "terms_of_service": "2999-01-01"}
    assert parse_customer_document(document).agreements.privacy_policy.year == 2999


def test_every_origin_is_a_path_of_the_document(files: Files) -> None:
    for each in declared(files):
        for path in each.origins:
            node: object = each.document
            for part in path.split("."):
                assert isinstance(node, dict | list), path
                node = node[int(part)] if isinstance(node, list) else node[part]


def test_origins_go_through_the_ids_of_lists(files: Files) -> None:
    origins = declared(files)[0].origins
    assert str(origins["administrators.ann.email"]) == "customers/springfield/customer.yaml:5:48"
    assert str(origins["lti.platforms.moodle.consumer_key"]) == "customers/springfield/customer.yaml:10:21"
    assert str(origins["lti.platforms.canvas.shared_secret.secret"]) == "customers/springfield/customer.yaml:14:61"
