"""The repository as a whole: what is a customer, what is invalid, what must not be shared."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from reconciler.config.repository import load_repository
from reconciler.model.diagnostic import ConfigurationRefusal
from reconciler.model.kind import Kind
from reconciler.model.plan import CATALOG
from tests.support.customers.files import NOW, Files


def test_folder_with_customer_yaml_is_a_customer_at_any_depth(files: Files) -> None:
    files.customer()
    files.customer(name="group/district/ogdenville")
    files.customer(name="springfield/shelbyville")
    assert list(files.load().customers) == ["ogdenville", "shelbyville", "springfield"]


def test_customer_comes_with_communities_and_lessons_in_id_order(files: Files) -> None:
    files.customer()
    for name in ("low", "high"):
        files.community(name=name)
    files.lesson("customers/springfield", "b")
    files.lesson("customers/springfield", "a")
    files.lesson("customers", "shared")
    repository = files.load()
    declared = repository.customers["springfield"].documents
    assert [(each.kind, each.id) for each in declared] == [
        (Kind.CUSTOMER, "springfield"),
        (Kind.COMMUNITY, "high"),
        (Kind.COMMUNITY, "low"),
        (Kind.LESSON, "a"),
        (Kind.LESSON, "b"),
    ]
    assert [str(each.span) for each in declared[:2]] == [
        "customers/springfield/customer.yaml:1:1",
        "customers/springfield/communities/high.yaml:1:1",
    ]
    assert [each.id for each in repository.catalog] == ["shared"]
    assert repository.files == 6


def test_an_empty_repository_has_one_environment_beside_it(files: Files) -> None:
    repository = files.load()
    name, environment = repository.get_environment(None)
    assert (name, environment.store) == ("default", "sqlite:///.reconciler/store.db")
    assert (environment.secrets.backend, repository.files, repository.diagnostics) == ("env", 0, ())


def test_first_environment_is_default_and_others_are_named(files: Files) -> None:
    files.write(
        "reconciler.yaml",
        'environments:\n  prod: {store: "postgresql://db/r"}\n  alpha: {store: "sqlite:///a.db"}\n',
    )
    repository = files.load()
    assert repository.get_environment(None)[0] == "prod"
    assert repository.settings.get_environment("alpha")[1].store == "sqlite:///a.db"
    with pytest.raises(ConfigurationRefusal, match=r"unknown environment beta.*\n.*prod, alpha"):
        repository.get_environment("beta")


def test_invalid_settings_never_become_defaults(files: Files) -> None:
    files.customer()
    files.write("reconciler.yaml", "environments: [a]\n")
    repository = files.load()
    assert list(repository.customers) == ["springfield"]
    with pytest.raises(ConfigurationRefusal, match="must be a mapping"):
        _ = repository.settings


def test_one_broken_file_invalidates_only_its_customer(files: Files) -> None:
    files.customer()
    files.community("nmae: x\n")
    files.customer(name="ogdenville")
    repository = files.load()
    assert list(repository.customers) == ["ogdenville"]
    assert [each.code for each in repository.invalid["springfield"]] == ["unknown-key"]


def test_folder_without_customer_yaml_is_invalid_not_removed(files: Files) -> None:
    files.community()
    repository = files.load()
    assert [each.code for each in repository.invalid["springfield"]] == ["no-customer-file"]


@pytest.mark.parametrize("name", ["customer.yml", "Customer.yaml", "CUSTOMER.YML"])
def test_misnamed_customer_file_is_invalid_not_removed(files: Files, name: str) -> None:
    files.write(f"customers/springfield/{name}", "kind: customer\n")
    repository = files.load()
    assert [each.code for each in repository.invalid["springfield"]] == ["misnamed-file"]


def test_a_community_under_a_near_name_is_an_error(files: Files) -> None:
    files.customer()
    files.write("customers/springfield/communities/high.yml", "kind: community\n")
    assert [each.code for each in files.load().invalid["springfield"]] == ["misnamed-file"]


def test_a_file_that_nothing_reads_is_said(files: Files) -> None:
    files.customer()
    files.write("customers/springfield/notes.yaml", "a: 1\n")
    files.write("customers/reconciler.yaml", "format: 1\n")
    files.write("customers/springfield/.hidden.yaml", "a: 1\n")
    files.write("customers/springfield/README.md", "x")
    repository = files.load()
    assert [(each.code, str(each.span)) for each in repository.diagnostics] == [
        ("ignored-file", "customers/reconciler.yaml"),
        ("ignored-file", "customers/springfield/notes.yaml"),
    ]
    assert list(repository.customers) == ["springfield"]


def test_a_linked_folder_is_invalid_and_not_removed(files: Files) -> None:
    files.customer(name="ogdenville")
    (files.folder / "customers/springfield").symlink_to(files.folder / "customers/ogdenville")
    repository = files.load()
    assert [each.code for each in repository.invalid["springfield"]] == ["linked-folder"]
    assert list(repository.customers) == ["ogdenville"]


def test_id_is_the_folder_or_file_name(files: Files) -> None:
    files.customer()
    files.community()
    files.lesson("customers/springfield")
    for place, wrong in (("communities/high", "low"), ("lessons/cells", "other")):
        path = files.folder / f"customers/springfield/{place}.yaml"
        path.write_text(path.read_text().replace(f"id: {path.stem}", f"id: {wrong}"))
    found = files.load().diagnostics
    assert [(each.code, str(each.span)) for each in found] == [
        ("id-not-name", "customers/springfield/communities/high.yaml:2:5"),
        ("id-not-name", "customers/springfield/lessons/cells.yaml:2:5"),
    ]


def test_renamed_folder_also_invalidates_the_id_it_claims(files: Files) -> None:
    files.customer()
    (files.folder / "customers/springfield").rename(files.folder / "customers/renamed")
    repository = files.load()
    assert list(repository.invalid) == ["renamed", "springfield"]


def test_folder_claiming_a_valid_customers_id_does_no_harm(files: Files) -> None:
    files.customer()
    text = (files.folder / "customers/springfield/customer.yaml").read_text()
    files.write("customers/copy/customer.yaml", text)
    repository = files.load()
    assert (list(repository.customers), list(repository.invalid)) == (["springfield"], ["copy"])


def test_folders_sharing_an_id_are_both_invalid_and_cross_referenced(files: Files) -> None:
    files.customer(name="a/springfield")
    files.customer(name="b/springfield")
    repository = files.load()
    assert dict(repository.customers) == {}
    assert [each.message for each in repository.invalid["springfield"]] == [
        "customer springfield is also in customers/b/springfield/customer.yaml",
        "customer springfield is also in customers/a/springfield/customer.yaml",
    ]


LTI = "lti: {platforms: [{id: lms, consumer_key: same, shared_secret: {generated: true}, community: high}]}\n"


def test_a_consumer_key_of_two_customers_names_both_places(files: Files) -> None:
    for name in ("ogdenville", "springfield"):
        files.customer(LTI, name=name)
        files.community(of=name)
    repository = files.load()
    (found,) = repository.invalid["ogdenville"]
    assert (found.code, str(found.span)) == ("consumer-key-taken", "customers/ogdenville/customer.yaml:7:43")
    assert "customers/springfield/customer.yaml:7:43" in found.message
    assert list(repository.invalid) == ["ogdenville", "springfield"]


def test_a_community_of_another_customer_is_none(files: Files) -> None:
    files.customer(LTI)
    files.customer(name="ogdenville")
    files.community(of="ogdenville")
    files.community(name="hihg")
    assert "unknown community high of springfield [unknown-community]\n    Did you mean hihg?" in files.said()


def test_lessons_belong_to_the_customer_or_the_catalog(files: Files) -> None:
    files.customer()
    files.lesson("customers", "shared")
    files.lesson("customers/springfield", "own")
    files.community("lessons: [shared, own]\n")
    assert files.codes() == []
    files.community("lessons: [shared, ownn]\n")
    assert ":5:19: error: unknown lesson ownn" in files.said()
    assert "Did you mean own?" in files.said()


def test_a_lesson_of_another_customer_is_none(files: Files) -> None:
    files.customer()
    files.customer(name="ogdenville")
    files.lesson("customers/ogdenville", "theirs")
    files.community("lessons: [theirs]\n")
    assert files.codes() == ["unknown-lesson"]


def test_a_broken_lesson_of_the_catalogue_is_one_mistake(files: Files) -> None:
    files.customer()
    files.community("lessons: [cells]\n")
    files.lesson("customers", "cells", "nmae: x\n")
    repository = files.load()
    assert [each.code for each in repository.diagnostics] == ["unknown-key"]
    assert list(repository.invalid) == [CATALOG]
    assert list(repository.customers) == ["springfield"]


def test_the_order_of_the_file_system_means_nothing(files: Files, tmp_path: Path) -> None:
    names = ["c", "a", "b"]
    for name in names:
        files.customer(LTI, name=name)
        files.community(of=name)
    first = files.load()
    for name in names:
        (files.folder / "customers" / name).rename(tmp_path / name)
    for name in reversed(names):
        (tmp_path / name).rename(files.folder / "customers" / name)
    assert files.load().diagnostics == first.diagnostics
    assert list(files.load().invalid) == list(first.invalid) == ["a", "b", "c"]


def test_files_are_named_as_seen_from_the_current_directory(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    files.customer("nmae: x\n")
    files.write("reconciler.yaml", "formt: 1\n")
    expected = ["customers/springfield/customer.yaml:7:1", "reconciler.yaml:1:1"]
    whole = files.folder / "customers"
    assert [str(each.span) for each in load_repository(whole, moment=NOW).diagnostics] == expected
    monkeypatch.chdir(whole)
    assert [str(each.span) for each in load_repository(Path("."), moment=NOW).diagnostics] == [
        "../reconciler.yaml:1:1",
        "springfield/customer.yaml:7:1",
    ]
    monkeypatch.chdir("/")
    assert str(load_repository(whole, moment=NOW).diagnostics[0].span).endswith(
        "customers/springfield/customer.yaml:7:1"
    )


def test_without_a_date_agreements_are_checked_against_utc(files: Files) -> None:
    later = datetime.now(UTC).date() + timedelta(days=2)
    agreements = f"agreements: {{privacy_policy: {later}, terms_of_service: 2020-01-01}}\n"
    files.customer(agreements, without=["agreements"])
    assert [each.code for each in load_repository(Path("customers")).diagnostics] == ["date-in-future"]


def test_unreadable_file_invalidates_its_customer(files: Files) -> None:
    (files.folder / "customers/springfield/customer.yaml").mkdir(parents=True)
    files.community()
    assert "no-customer-file" in [each.code for each in files.load().invalid["springfield"]]
    (files.folder / "customers/springfield/customer.yaml").rmdir()
    (files.folder / "customers/springfield/customer.yaml").symlink_to("nowhere")
    assert [each.code for each in files.load().invalid["springfield"]] == ["linked-file"]
