"""Save the administrators of a customer's YAML as accounts that can sign in.

Their identity is the issuer `SLUG/config` and their username. A password is used only when an account is created; an
administrator without one gets an invitation.
"""

from collections.abc import Mapping
from typing import Any

import polars as pl
from argon2 import PasswordHasher
from pydantic import SecretStr

from reconciler.model.change import Action
from reconciler.model.role import ROLE_NAMES, Role
from reconciler.model.roster import AccountManager, AccountStatus
from reconciler.model.text_form import make_caseless_form
from reconciler.store.read.administrators import read_administrators
from reconciler.store.write.invitations import create_invitation
from reconciler.store.write.people import ensure_issuer
from reconciler.store.write.rows import ACCOUNTS, WriteContext, stage_journaled_rows

ROLES = {names.yaml: role for role, names in ROLE_NAMES.items() if names.yaml}
PERSON_FIELDS = ("given_name", "family_name", "email")

Invitation = tuple[str, str]


def save_administrators(
    context: WriteContext, document: Mapping[str, Any], passwords: Mapping[str, SecretStr]
) -> tuple[Invitation, ...]:
    """Create, update and delete a customer's administrators.

    document: the customer's. passwords: by path (`administrators.USERNAME.password`). Returns (username, path of the
    page) for everybody who must choose a password; the token in the path is not stored.
    """
    wanted: Mapping[str, Mapping[str, Any]] = document.get("administrators") or {}
    issuer = ensure_issuer(context, "config", "config")
    known = read_administrators(context.connection, context.customer_number)
    invited = []
    for username, person in sorted(wanted.items()):
        if username in known:
            account, may_sign_in = known[username].id, known[username].has_password
            _update_administrator(context, account, username, person, known[username].tombstoned)
            if not known[username].tombstoned:
                continue
        else:
            password = passwords.get(f"administrators.{username}.password")
            account = _create_administrator(context, issuer, username, person, password)
            may_sign_in = password is not None
        if not may_sign_in:
            invited.append((username, create_invitation(context.connection, account, context.now)))
    leaving = [account.id for name, account in known.items() if name not in wanted and not account.tombstoned]
    _remove_administrators(context, leaving)
    return tuple(invited)


def parse_administrator_role(person: Mapping[str, Any]) -> Role:
    named = str(person["role"])
    return ROLES[named] if named in ROLES else Role(named)


def _build_account_values(context: WriteContext, username: str, person: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **context.facts,
        **{name: person.get(name) for name in PERSON_FIELDS},
        "username": username,
        "username_key": make_caseless_form(username),
        "role": parse_administrator_role(person).value,
    }


def _create_administrator(
    context: WriteContext, issuer: int, username: str, person: Mapping[str, Any], password: SecretStr | None
) -> int:
    connection = context.connection
    facts = {
        **_build_account_values(context, username, person),
        "id": int(connection.generate_ids("accounts", 1)[0]),
        "managed_by": AccountManager.CONFIG.value,
        "status": AccountStatus.ACTIVE.value,
        "password_hash": PasswordHasher().hash(password.get_secret_value()) if password is not None else None,
        "issuer": issuer,
    }
    # Fingerprint 0: no roster row has it, and it is not the null of a write outside reconciler.
    connection.execute(
        "INSERT INTO accounts (id, customer_id, managed_by, status, given_name, family_name, email, username,"
        " username_key, role, password_hash, fingerprint, origin_run, created_run) VALUES (:id, :customer, :managed_by,"
        " :status, :given_name, :family_name, :email, :username, :username_key, :role, :password_hash, 0, :run, :run)",
        facts,
    )
    connection.execute(
        "INSERT INTO identities (issuer_id, subject, account_id, customer_id, run)"
        " VALUES (:issuer, :username, :id, :customer, :run)",
        facts,
    )
    return int(facts["id"])


def _update_administrator(
    context: WriteContext, account: int, username: str, person: Mapping[str, Any], tombstoned: bool
) -> None:
    facts = {**_build_account_values(context, username, person), "id": account}
    same = context.connection.fetch_scalar(
        "SELECT count(*) FROM accounts WHERE id = :id AND tombstoned_at IS NULL AND given_name = :given_name"
        " AND family_name = :family_name AND email = :email AND role = :role",
        facts,
    )
    if same:
        return
    action = Action.RESTORE if tombstoned else Action.UPDATE
    # The null fingerprint makes the next plan compare the columns, if a roster is bound to the account as well.
    with stage_journaled_rows(context, ACCOUNTS, _build_change_rows([account], action)):
        context.connection.execute(
            "UPDATE accounts SET given_name = :given_name, family_name = :family_name, email = :email, role = :role,"
            " username = :username, username_key = :username_key, fingerprint = NULL, origin_run = :run,"
            " tombstoned_at = NULL, tombstoned_run = NULL WHERE id = :id",
            facts,
        )


def _remove_administrators(context: WriteContext, accounts: list[int]) -> None:
    """Delete accounts that are not in the roster, and make the roster manage the others."""
    if not accounts:
        return
    with stage_journaled_rows(context, ACCOUNTS, _build_change_rows(accounts, Action.DELETE)) as gone:
        rostered = (
            f"SELECT i.account_id FROM identities i JOIN issuers x ON x.id = i.issuer_id JOIN {gone} s"
            " ON s.live_id = i.account_id WHERE x.kind = 'roster'"
        )
        context.connection.execute(
            f"UPDATE accounts SET managed_by = '{AccountManager.ROSTER.value}', fingerprint = NULL "
            f"WHERE id IN ({rostered})"
        )
        context.connection.execute(
            "UPDATE accounts SET tombstoned_at = :now, tombstoned_run = :run, fingerprint = NULL"
            f" WHERE id IN (SELECT live_id FROM {gone}) AND id NOT IN ({rostered})",
            context.facts,
        )


def _build_change_rows(accounts: list[int], action: Action) -> pl.DataFrame:
    return pl.DataFrame(
        {"live_id": accounts, "action": [action.value] * len(accounts)},
        schema={"live_id": pl.Int64, "action": pl.String},
    )
