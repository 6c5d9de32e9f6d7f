"""Absent inherits, null unsets, a list replaces, another type replaces; each value keeps its place."""

from __future__ import annotations

from reconciler.config.models.customer import Customer
from reconciler.config.models.rostering import ManualRostering, OneRosterRostering
from reconciler.config.models.sync import SftpSync, ZipSync
from tests.support.customers.files import Files

ROSTERING = "rostering: {client_partner_id: org}\n"
DEFAULTS = """\
kind: defaults
timezone: Europe/Berlin
support: {email: help@group.example, url: "https://group.example/help"}
rostering:
  type: oneroster
  match_with: identifier
  limits: {users: {percent: 7}}
  protect: [u-1, u-2]
  sync: {type: sftp, host: s.example, username: u, password: {secret: p}, path: /r.zip, host_key: "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMA34UC1CH5tczeJU4dpKc3306gk4e+NYNJEcLPaRJxy"}
community:
  login_timeout: 30m
  site_license: {seats: 7}
"""  # noqa: E501 - a host key is long


def customer(files: Files, name: str = "springfield") -> Customer:
    repository = files.load()
    assert [each for each in repository.diagnostics if each.is_error] == []
    return repository.customers[name].customer


def oneroster(files: Files) -> OneRosterRostering:
    rostering = customer(files).rostering
    assert isinstance(rostering, OneRosterRostering)
    return rostering


def test_what_is_absent_is_inherited_key_by_key(files: Files) -> None:
    files.write("customers/defaults.yaml", DEFAULTS)
    files.customer(ROSTERING + "support: {url: null}\n")
    found = oneroster(files)
    assert (found.match_with, found.client_partner_id, found.protect) == ("identifier", "org", ("u-1", "u-2"))
    assert (found.limits.users.percent, found.limits.users.floor) == (7, 5)
    assert isinstance(found.sync, SftpSync)
    assert customer(files).timezone == "Europe/Berlin"


def test_null_unsets_what_would_be_inherited(files: Files) -> None:
    files.write("customers/defaults.yaml", DEFAULTS)
    files.customer("timezone: null\nsupport: {url: null}\nrostering: null\n")
    found = customer(files)
    assert found.timezone == "UTC"
    assert found.support is not None
    assert (found.support.email, found.support.url) == ("help@group.example", None)
    assert isinstance(found.rostering, ManualRostering)


def test_a_list_replaces_and_an_empty_one_too(files: Files) -> None:
    files.write("customers/defaults.yaml", DEFAULTS)
    files.customer("rostering: {client_partner_id: org, protect: [u-3]}\n")
    assert oneroster(files).protect == ("u-3",)
    files.customer("rostering: {client_partner_id: org, protect: []}\n")
    assert oneroster(files).protect == ()


def test_another_type_replaces_and_inherits_nothing(files: Files) -> None:
    files.write("customers/defaults.yaml", DEFAULTS)
    files.customer("rostering: {client_partner_id: org, sync: {type: zip}}\n")
    assert isinstance(oneroster(files).sync, ZipSync)
    files.customer("rostering: {type: manual}\n")
    assert isinstance(customer(files).rostering, ManualRostering)


def test_the_same_type_inherits_the_rest(files: Files) -> None:
    files.write("customers/defaults.yaml", DEFAULTS)
    files.customer("rostering: {client_partner_id: org, sync: {type: sftp, host: other.example}}\n")
    sync = oneroster(files).sync
    assert isinstance(sync, SftpSync)
    assert (sync.host, sync.username) == ("other.example", "u")


def test_nearest_folder_wins_and_null_unsets(files: Files) -> None:
    files.write("customers/defaults.yaml", DEFAULTS)
    files.write("customers/group/defaults.yaml", "kind: defaults\ntimezone: Europe/Paris\nsupport: null\n")
    files.customer(ROSTERING, name="group/district/springfield")
    found = customer(files)
    assert (found.timezone, found.support) == ("Europe/Paris", None)
    assert oneroster(files).match_with == "identifier"


def test_defaults_of_one_folder_mean_nothing_in_another(files: Files) -> None:
    files.write("customers/a/defaults.yaml", "kind: defaults\ntimezone: Europe/Paris\n")
    files.customer(name="b/springfield")
    assert customer(files).timezone == "UTC"


def test_communities_inherit_what_defaults_say_of_communities(files: Files) -> None:
    files.write("customers/defaults.yaml", DEFAULTS)
    files.customer(ROSTERING)
    files.write(
        "customers/springfield/communities/high.yaml",
        "kind: community\nid: high\nname: H\nsite_license: {starts: 2026-08-01, ends: 2027-07-31}\n",
    )
    community = files.load().customers["springfield"].communities["high"]
    assert (community.login_timeout.total_seconds(), community.site_license.seats) == (1800, 7)


def test_every_value_says_where_it_was_written(files: Files) -> None:
    files.write("customers/defaults.yaml", DEFAULTS)
    files.customer("rostering: {client_partner_id: org, limits: {users: {floor: 1}}}\n")
    declared = files.load().customers["springfield"].documents[0]
    assert str(declared.origins["timezone"]) == "customers/defaults.yaml:2:11"
    assert str(declared.origins["rostering.limits.users.percent"]) == "customers/defaults.yaml:7:29"
    assert str(declared.origins["rostering.limits.users.floor"]) == "customers/springfield/customer.yaml:7:61"
    assert "rostering.limits.classes.floor" not in declared.origins


def test_mistake_in_an_inherited_value_points_at_the_defaults(files: Files) -> None:
    files.write("customers/defaults.yaml", "kind: defaults\nrostering: {sync: {type: zip, frequency: auto}}\n")
    files.customer("rostering: {type: oneroster, client_partner_id: o, match_with: email}\n")
    found = [each for each in files.load().diagnostics if each.is_error]
    assert [str(each.span) for each in found] == ["customers/defaults.yaml:2:42"]


def test_combined_rule_is_reported_at_the_offending_value(files: Files) -> None:
    files.write("customers/defaults.yaml", "kind: defaults\nagreements: {privacy_policy: 2030-01-01}\n")
    files.customer("agreements: {terms_of_service: 2026-08-01}\n", without=["agreements"])
    files.customer("agreements: {terms_of_service: 2026-08-01}\n", name="ogdenville", without=["agreements"])
    found = files.load().diagnostics
    assert [(each.code, str(each.span)) for each in found] == [("date-in-future", "customers/defaults.yaml:2:30")]


def test_broken_defaults_invalidate_only_customers_below(files: Files) -> None:
    files.write("customers/a/defaults.yaml", "kind: defaults\nrostering: [\n")
    files.customer("rostering: {client_partner_id: org}\n", name="a/springfield")
    files.customer(name="b/ogdenville")
    repository = files.load()
    assert list(repository.customers) == ["ogdenville"]
    assert [each.code for each in repository.invalid["springfield"]] == ["yaml-syntax"]
    assert [each.code for each in repository.diagnostics] == ["yaml-syntax"]


def test_customers_below_broken_defaults_are_still_checked(files: Files) -> None:
    files.write("customers/defaults.yaml", "kind: defaults\ntimezne: UTC\nstatus: closed\n")
    files.customer("nmae: x\n")
    found = files.load().diagnostics
    assert [str(each.span) for each in found] == [
        "customers/defaults.yaml:2:1",
        "customers/defaults.yaml:3:9",
        "customers/springfield/customer.yaml:7:1",
    ]


def test_defaults_reject_keys_each_customer_must_set(files: Files) -> None:
    for key in ("id: x", "name: X", "administrators: []", "address: {country: US}"):
        files.write("customers/defaults.yaml", f"kind: defaults\n{key}\n")
        assert files.codes() == ["unknown-key"]
