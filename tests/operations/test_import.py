"""`import` writes files that match the store, and keeps the rest of their content in place."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from demo.credentials import NAMES
from reconciler.config.formatting.format import format_canonical_text
from reconciler.config.repository import load_repository
from reconciler.config.secrets import build_variable_name
from reconciler.store.open import Store
from tests.support.customers.project import Project, Result

pytestmark = pytest.mark.slow

EXAMPLES = Path(__file__).resolve().parents[2] / "customers"
SECRET = "correct horse battery"


@pytest.fixture
def examples(project: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    """The example customers, applied."""
    shutil.copytree(EXAMPLES, project.folder / "customers")
    for customer, names in NAMES.items():
        for name in names:
            monkeypatch.setenv(build_variable_name(customer, name), SECRET)
    assert project.apply().code == 0
    return project


def texts(project: Project) -> dict[str, str]:
    return {
        str(path.relative_to(project.folder)): path.read_text()
        for path in sorted((project.folder / "customers").rglob("*.yaml"))
    }


def is_empty(plan: Result) -> bool:
    assert plan.code == 0, plan.out + plan.err
    return all(not each["changes"] for each in plan.json["customers"])


def drift(project: Project, table: str, slug: str, change: Any) -> None:
    """Another hand changes a document in the store; `change` gets it and changes it in place."""
    ((text,),) = project.ask(f"SELECT document FROM {table} WHERE slug = '{slug}'")
    document = json.loads(text)
    change(document)
    with project.by_hand() as cursor:
        quoted = json.dumps(document).replace("'", "''")
        cursor.execute(f"UPDATE {table} SET document = '{quoted}' WHERE slug = '{slug}'")


def imported(project: Project, *arguments: str) -> Result:
    """An import that succeeds, whose files are canonical and valid and after which a plan is empty."""
    result = project.run("import", *arguments)
    assert result.code == 0, result.out + result.err
    for name, text in texts(project).items():
        if f"new        {name}" in result.out or f"changed    {name}" in result.out:
            assert format_canonical_text(text.encode(), name) == text
    assert project.run("validate").code == 0
    names = [each for each in arguments if not each.startswith("-")]
    assert is_empty(project.plan(*names, "--roster", "none"))
    assert SECRET not in result.out + result.err + "".join(texts(project).values())
    return result


def test_import_into_an_empty_folder_makes_an_empty_plan(examples: Project) -> None:
    before = load_repository(examples.folder / "customers")
    shutil.rmtree(examples.folder / "customers")
    result = imported(examples)
    assert result.err == "11 of 11 files written.\n"
    assert set(texts(examples)) == {
        str(path.relative_to(EXAMPLES.parent)) for path in EXAMPLES.rglob("*.yaml") if path.name != "defaults.yaml"
    }
    after = load_repository(examples.folder / "customers")
    for name, customer in before.customers.items():
        assert [each.document for each in after.customers[name].documents] == [
            each.document for each in customer.documents
        ]
    text = texts(examples)["customers/springfield/customer.yaml"]
    assert "password: {secret: admin-password}" in text
    assert "shared_secret: {secret: canvas}" in text
    assert 'postal_code: "62701"' in text
    assert "privacy_policy: 2026-08-01" in text
    again = imported(examples)
    assert {line.split()[0] for line in again.out.splitlines()} == {"unchanged"}
    assert again.err.startswith("0 of ")


def test_inherited_values_are_omitted_and_existing_files_stay_identical(examples: Project) -> None:
    before = texts(examples)
    # not canonical, and says what the store has
    river = examples.folder / "customers/springfield/lessons/springfield-river.yaml"
    river.write_text(river.read_text().replace("kind: lesson", "kind:   'lesson' # x"))
    result = imported(examples)
    assert "unchanged  customers/springfield/lessons/springfield-river.yaml" in result.out
    assert {**texts(examples), str(river.relative_to(examples.folder)): ""} == {
        **before,
        str(river.relative_to(examples.folder)): "",
    }
    for path in (examples.folder / "customers").rglob("*.yaml"):
        if path.name != "defaults.yaml":
            path.unlink()
    imported(examples)
    for name, text in texts(examples).items():
        # who reads the examples may like braces where the import writes lines, and the other way round
        assert set(re.findall(r"[a-z_]+(?=:)", text)) <= set(re.findall(r"[a-z_]+(?=:)", before[name])) | {"kind"}
    ogdenville = texts(examples)["customers/ogdenville/customer.yaml"]
    assert "timezone: America/Denver" in ogdenville
    assert "support" not in ogdenville
    assert "retention" not in ogdenville


def test_manual_changes_are_imported_and_comments_stay(examples: Project) -> None:
    def change(document: dict[str, Any]) -> None:
        document["name"] = "Springfield Schools"
        del document["support"]
        document["timezone"] = "UTC"
        document["rostering"]["suffix"] = "@sf: x"
        document["rostering"]["limits"]["users"]["percent"] = 20
        document["rostering"]["protect"] = ["u-1", "1001"]
        document["administrators"]["second"] = {
            **document["administrators"]["hlindqvist"],
            "username": "second",
            "given_name": "No",
        }
        del document["administrators"]["second"]["password"]
        document["lti"]["platforms"]["canvas"]["origins"] = ["https://one.example", "https://two.example"]

    file = examples.folder / "customers/springfield/customer.yaml"
    before = file.read_text()
    drift(examples, "customers", "springfield", change)
    assert not is_empty_now(examples)
    assert examples.run("import", "--check").code == 1
    assert file.read_text() == before
    result = imported(examples)
    assert "changed    customers/springfield/customer.yaml" in result.out
    assert result.err == f"1 of {len(result.out.splitlines())} files written.\n"
    after = file.read_text()
    assert re.findall("#.*", after) == re.findall("#.*", before)
    assert "support: null" in after
    assert "timezone: UTC" in after
    assert 'suffix: "@sf: x"' in after
    assert "limits: {users: {percent: 20}}" in after
    assert 'protect: [u-1, "1001"]' in after
    kept = [line for line in before.splitlines() if line in after.splitlines()]
    assert len(before.splitlines()) - len(kept) <= 3


def is_empty_now(project: Project) -> bool:
    plan = project.plan()
    return plan.code == 0 and is_empty(plan)


def test_communities_and_lessons_are_taken_over_too(examples: Project) -> None:
    def change(document: dict[str, Any]) -> None:
        document["lessons"] = "all"
        document["login_timeout"] = "1h"
        document["lti"]["auto_provisioning"] = False
        document["members"]["schools"] = ["s-other", "s-high"]
        document["join_links"] = {"instructor": {"role": "instructor"}}

    drift(examples, "communities", "springfield-high", change)
    drift(examples, "lessons", "cells", lambda document: document.update(title="Cells: inside"))
    before = texts(examples)
    imported(examples)
    after = texts(examples)
    assert [name for name in after if after[name] != before[name]] == [
        "customers/lessons/cells.yaml",
        "customers/springfield/communities/springfield-high.yaml",
    ]
    high = after["customers/springfield/communities/springfield-high.yaml"]
    assert re.findall("#.*", high) == re.findall(
        "#.*", before["customers/springfield/communities/springfield-high.yaml"]
    )
    assert "members: {schools: [s-other, s-high]}" in high
    assert "join_links: [{role: instructor}]" in high
    assert "auto_provisioning" not in high
    assert 'title: "Cells: inside"' in after["customers/lessons/cells.yaml"]


def test_type_differing_from_inherited_is_written_without_foreign_keys(examples: Project) -> None:
    drift(examples, "customers", "springfield", lambda document: document.update(rostering={"type": "manual"}))
    drift(
        examples,
        "customers",
        "shelbyville",
        lambda document: document["rostering"].update(sync={"type": "zip", "frequency": "manual"}),
    )
    imported(examples)
    springfield = texts(examples)["customers/springfield/customer.yaml"]
    assert "rostering: {type: manual}" in re.sub(" +#.*", "", springfield)
    assert "# sourcedId of the district in orgs.csv" in springfield
    shelbyville = texts(examples)["customers/shelbyville/customer.yaml"]
    assert "sync: {type: zip}" in shelbyville
    assert "sftp.shelbyville.example" not in shelbyville


def test_only_named_customers_are_written_and_unknown_is_misuse(examples: Project) -> None:
    shutil.rmtree(examples.folder / "customers")
    imported(examples, "ogdenville")
    # with the lessons of the catalog that it names, so that it is valid
    assert sorted(texts(examples)) == [
        "customers/lessons/cells.yaml",
        "customers/lessons/fractions.yaml",
        "customers/ogdenville/communities/ogdenville.yaml",
        "customers/ogdenville/customer.yaml",
    ]
    drift(examples, "lessons", "cells", lambda document: document.update(title="Other"))
    assert examples.run("import", "ogdenville").err == "0 of 2 files written.\n"
    assert examples.run("import", "nix").code == 64


def test_documents_missing_from_the_store_are_left_and_reported(examples: Project) -> None:
    examples.customer("capital")
    examples.write("customers/ogdenville/lessons/own.yaml", (EXAMPLES / "lessons/cells.yaml").read_text())
    shutil.rmtree(examples.folder / "customers/shelbyville")
    with examples.by_hand() as cursor:
        cursor.execute("UPDATE customers SET tombstoned_at = '2026-11-01T00:00:00Z' WHERE slug = 'shelbyville'")
        cursor.execute("UPDATE communities SET tombstoned_at = '2026-11-01T00:00:00Z' WHERE slug = 'springfield-k8'")
    before = texts(examples)
    result = examples.run("import")
    assert result.code == 0
    assert "customers/capital/customer.yaml: info: customer capital is not in the store" in result.err
    assert "customers/ogdenville/lessons/own.yaml: info: lesson own is not in the store" in result.err
    assert "springfield-k8.yaml: info: community springfield-k8 is not in the store" in result.err
    assert "shelbyville" not in result.out + result.err
    assert texts(examples) == before


def test_unreadable_file_refuses_its_whole_customer(examples: Project) -> None:
    for name in ("springfield", "ogdenville"):
        drift(examples, "customers", name, lambda document: document.update(name="Other"))
    community = examples.write("customers/springfield/communities/springfield-k8.yaml", "kind: community\nid: [\n")
    before = texts(examples)
    result = examples.run("import")
    assert result.code == 65
    assert "customers/springfield/communities/springfield-k8.yaml:3:1: error: " in result.err
    assert "springfield" not in result.out
    after = texts(examples)
    assert [name for name in after if after[name] != before[name]] == ["customers/ogdenville/customer.yaml"]
    assert community.read_text() == "kind: community\nid: [\n"


def test_file_with_a_meaningless_key_is_left_and_reported(examples: Project) -> None:
    drift(examples, "lessons", "cells", lambda document: document.update(title="Other"))
    path = examples.folder / "customers/lessons/cells.yaml"
    path.write_text(path.read_text() + "color: red\n")
    result = examples.run("import")
    assert result.code == 65
    assert "customers/lessons/cells.yaml: error: the file cannot be made to match" in result.err
    assert path.read_text().endswith("title: Inside a cell\nurl: https://lessons.example/cells\ncolor: red\n")


def test_invalid_live_settings_are_refused_without_their_values(examples: Project) -> None:
    drift(examples, "customers", "springfield", lambda document: document.update(timezone="hunter two"))
    result = examples.run("import")
    assert result.code == 1
    assert "error: the store's customer springfield is not a valid document: see timezone" in result.err
    assert "hunter" not in result.out + result.err


def test_stored_name_never_leads_outside_the_folder(examples: Project) -> None:
    with examples.by_hand() as cursor:
        cursor.execute("UPDATE communities SET slug = '../../../escaped' WHERE slug = 'springfield-high'")
    result = examples.run("import")
    assert result.code == 1
    assert "has an invalid ID in the store" in result.err
    assert not list(examples.folder.parent.rglob("escaped*"))


def test_value_in_another_form_is_normalized_and_reported(examples: Project) -> None:
    drift(examples, "communities", "shelbyville", lambda document: document.update(login_timeout="120m"))
    result = examples.run("import", "shelbyville")
    assert result.code == 0
    assert "shelbyville.yaml: warning: the store has a value" in result.err
    assert "login_timeout: 2h" in texts(examples)["customers/shelbyville/communities/shelbyville.yaml"]


def test_a_store_that_is_not_there_is_not_made(project: Project, store: Store) -> None:
    assert store.uuid
    assert project.run("import").code == 0
    assert (project.folder / "customers").is_dir()
    missing = project.folder / "other.db"
    project.store_url = f"sqlite:///{missing}"
    assert project.run("import").code == 1
    assert not missing.exists()
