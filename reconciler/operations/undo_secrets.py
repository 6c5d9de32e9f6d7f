"""The secrets that an undo needs: only of settings that come back after the store forgot their values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import SecretStr

from reconciler.config.secret_references import secret_references
from reconciler.model.diagnostic import Diagnostic, error
from reconciler.model.kind import Kind
from reconciler.model.plan import CustomerPlan
from reconciler.operations.secrets import ADMINISTRATORS
from reconciler.operations.workspace import Workspace
from reconciler.store.renaming import former_id


def undo_secrets(
    workspace: Workspace, customer: CustomerPlan
) -> tuple[Mapping[str, SecretStr], tuple[Diagnostic, ...]]:
    """By path, and an error for each that is needed and not set. What the store has stays as it is; but where the
    customer gets another id back, it is given anew as far as it is set, since a trace fits one id alone."""
    settings: Mapping[str, Any] = customer.settings or {}
    if "customer" not in settings or not any(change.kind is Kind.CUSTOMER for change in customer.declared):
        return {}, ()
    with workspace.store.reading() as reader:
        former = former_id(customer.declared)
        record = reader.customers().get(former or customer.id)
        kept = reader.secrets(record.id) if record else {}
    values: dict[str, SecretStr] = {}
    missing = []
    for path, name in secret_references(settings["customer"]):
        stays = path in kept and kept[path][0] == name
        if stays and former is None:
            continue
        value = workspace.secrets.get(customer.id, name)
        if value is not None:
            values[path] = value
        elif not stays and not path.startswith(ADMINISTRATORS):
            missing.append(
                error(
                    "secret-not-set",
                    f"the secret {name} of {customer.id} comes back with its setting, and the store has it no more; "
                    f"nothing of {customer.id} was changed",
                    hint=f"set {workspace.secrets.place(customer.id, name)}",
                )
            )
    return values, tuple(missing)
