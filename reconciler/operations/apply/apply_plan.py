"""Carrying out a plan, customer by customer: one that fails, is stale or is held does not stop the others."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from pydantic import SecretStr

from reconciler.config.inputs import compute_blob_id, digest_inputs
from reconciler.config.models.secret import find_secret_references
from reconciler.log import log_step
from reconciler.model.diagnostic import Diagnostic, Refusal, build_error, build_info, build_warning
from reconciler.model.kind import Kind
from reconciler.model.plan import CATALOG, CustomerPlan, Outcome, Plan
from reconciler.model.settings import compute_settings_digest
from reconciler.operations.actor import find_actor, find_git_commit
from reconciler.operations.failure import UNEXPECTED_EXCEPTIONS, is_misconfigured, report_unexpected_error
from reconciler.operations.notify.deliver import describe_invalid_signing_secret, is_invalid_signing_secret
from reconciler.operations.plan.documents import compute_plan_settings_digest
from reconciler.operations.plan.secrets import ADMINISTRATORS
from reconciler.operations.undo.documents import collect_undo_secrets
from reconciler.operations.workspace import Workspace, refuse_other_store
from reconciler.planning.plan_id import digest_effects, drop_held_digests, pack_digests
from reconciler.store.errors import StalePlan, UnconfirmedCommit
from reconciler.store.open import Store
from reconciler.store.write.apply import ApplyJob, apply_customer

_log = logging.getLogger(__name__)

# What the store's own record says of an apply: carried out before, or at all, where its answer was lost.


def find_recorded_run(store: Store, plan: Plan, customer: CustomerPlan, approvals: Collection[str]) -> int | None:
    """The newest run that carried out this plan for the customer, these holds released; None where there is none.

    A plan that was made after a run, and would do the same once more, is another plan. Raises StoreProblem where the
    store cannot be read.
    """
    with store.open_reader() as reader:
        runs = reader.list_runs(customer.id)
    fitting = (
        run.id
        for run in runs
        if run.plan_id == plan.plan_id and run.started_at >= plan.created_at and set(approvals) <= set(run.approvals)
    )
    return next(fitting, None)


def try_find_recorded_run(store: Store, plan: Plan, customer: CustomerPlan, approvals: Collection[str]) -> int | None:
    """None also where the store cannot be read."""
    try:
        return find_recorded_run(store, plan, customer, approvals)
    except Refusal:
        return None


def describe_already_applied(customer: CustomerPlan, run: int) -> Diagnostic:
    return build_info(
        "already-applied",
        f"{customer.id}: this plan was applied already, by run {run}; nothing was changed now",
        hint="plan again to see what there is to do now",
    )


def describe_lost_answer(customer: CustomerPlan, run: int) -> Diagnostic:
    return build_warning(
        "answer-lost",
        f"{customer.id}: the connection was lost while run {run} was being written; it is in the store, whole",
        hint="invitations of new administrators were lost with the answer: set their passwords in another way",
    )


class ApplyOutcome(StrEnum):
    """What became of one customer. held: all but what is held was applied. unfit: an approval named another hold."""

    APPLIED = "applied"
    UNCHANGED = "unchanged"
    HELD = "held"
    UNFIT = "unfit"
    STALE = "stale"
    REFUSED = "refused"
    INVALID = "invalid"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Invitation:
    """A link by which a new administrator chooses a password. Shown once, never kept."""

    username: str
    link: str


@dataclass(frozen=True, slots=True)
class CustomerApplyResult:
    id: str
    outcome: ApplyOutcome
    run: int | None = None
    has_written: bool = False
    diagnostics: tuple[Diagnostic, ...] = ()
    invitations: tuple[Invitation, ...] = ()


def apply_plan(
    workspace: Workspace,
    plan: Plan,
    approvals: Iterable[str] = (),
    *,
    lock_timeout: float = 0.0,
    on_finished: Callable[[CustomerApplyResult], object] = lambda result: None,
) -> tuple[CustomerApplyResult, ...]:
    """In the plan's order. approvals: ids of holds. finished: is given every result as it comes, so that none is lost
    where somebody interrupts what follows. Raises Refusal where the plan is of another store or was altered,
    or an approval names a customer that the plan does not have."""
    refuse_other_store(plan.store, workspace.store)
    _refuse_altered_plan(plan)
    given = _group_approvals(plan, approvals)
    word = _Provenance(find_actor(), None if workspace.uses_applied_config else find_git_commit(workspace.directory))
    results = []
    with workspace.store.keep_open():
        for customer in plan.customers:
            with log_step(_log, "apply", customer=customer.id, plan=plan.plan_id) as facts:
                result = _apply_one(workspace, plan, customer, word, given.get(customer.id, ()), lock_timeout)
                facts |= _describe_for_log(customer, result)
            results.append(result)
            on_finished(result)
    return tuple(results)


def _describe_for_log(customer: CustomerPlan, result: CustomerApplyResult) -> dict[str, object]:
    return {
        "outcome": result.outcome,
        "run": result.run,
        "people": customer.counts[Kind.USER].changes if Kind.USER in customer.counts else 0,
        "hold": customer.hold.id if customer.hold else None,
        "errors": ",".join(sorted({each.code for each in result.diagnostics if each.is_error})) or None,
    }


@dataclass(frozen=True, slots=True)
class _Provenance:
    """Who applies, and the commit of the files."""

    actor: str
    git_commit: str | None


def _apply_one(
    workspace: Workspace,
    plan: Plan,
    customer: CustomerPlan,
    provenance: _Provenance,
    approvals: Sequence[str],
    lock_timeout: float,
) -> CustomerApplyResult:
    if customer.outcome is Outcome.REFUSED:
        return CustomerApplyResult(customer.id, ApplyOutcome.REFUSED)
    if customer.outcome is Outcome.FAILED:
        return CustomerApplyResult(
            customer.id, ApplyOutcome.INVALID if is_misconfigured(customer) else ApplyOutcome.FAILED
        )
    unfit = [approval for approval in approvals if customer.hold is None or customer.hold.id != approval]
    if unfit:
        return CustomerApplyResult(
            customer.id,
            ApplyOutcome.UNFIT,
            diagnostics=tuple(_describe_unfit_approval(customer, approval) for approval in unfit),
        )
    try:
        return _apply_if_current(workspace, plan, customer, provenance, lock_timeout, approved=bool(approvals))
    except StalePlan as stale:
        run = try_find_recorded_run(workspace.store, plan, customer, approvals)
        if run is not None:
            return CustomerApplyResult(
                customer.id, ApplyOutcome.UNCHANGED, diagnostics=(describe_already_applied(customer, run),)
            )
        return CustomerApplyResult(customer.id, ApplyOutcome.STALE, diagnostics=stale.diagnostics)
    except UnconfirmedCommit as lost:
        run = try_find_recorded_run(workspace.store, plan, customer, approvals)
        if run is None:
            return CustomerApplyResult(customer.id, ApplyOutcome.FAILED, diagnostics=lost.diagnostics)
        return CustomerApplyResult(
            customer.id,
            ApplyOutcome.HELD if customer.hold is not None and not approvals else ApplyOutcome.APPLIED,
            run,
            has_written=True,
            diagnostics=(describe_lost_answer(customer, run),),
        )
    except Refusal as refusal:
        return CustomerApplyResult(customer.id, ApplyOutcome.FAILED, diagnostics=refusal.diagnostics)
    except (
        UNEXPECTED_EXCEPTIONS
    ) as problem:  # a door: one customer's defect must not keep the others from being applied
        return CustomerApplyResult(
            customer.id, ApplyOutcome.FAILED, diagnostics=(report_unexpected_error(customer.id, "applying", problem),)
        )


def _apply_if_current(
    workspace: Workspace,
    plan: Plan,
    customer: CustomerPlan,
    provenance: _Provenance,
    lock_timeout: float,
    *,
    approved: bool,
) -> CustomerApplyResult:
    # What takes a run back is made from the store alone: the files may say what they like.
    if plan.undoes is None and _has_configuration_changed(workspace, customer):
        return CustomerApplyResult(
            customer.id, ApplyOutcome.STALE, diagnostics=(_describe_stale_configuration(customer),)
        )
    secrets: Mapping[str, SecretStr] = {}
    if not workspace.uses_applied_config:
        secrets, missing = (_collect_secrets if plan.undoes is None else collect_undo_secrets)(workspace, customer)
        if missing:
            return CustomerApplyResult(customer.id, ApplyOutcome.FAILED, diagnostics=missing)
    effects = digest_effects(customer, workspace.store.key.effect_key)
    result = apply_customer(
        workspace.store,
        ApplyJob(
            customer,
            plan_id=plan.plan_id,
            actor=provenance.actor,
            approved=approved,
            git_commit=provenance.git_commit,
            secrets=secrets,
            undoes=plan.undoes,
            inputs=_digest_inputs(workspace, customer) if plan.undoes is None else None,
            effects=pack_digests(effects if approved else drop_held_digests(effects)),
        ),
        lock_timeout,
    )
    held = customer.hold is not None and not approved
    became = ApplyOutcome.HELD if held else ApplyOutcome.APPLIED if result.run is not None else ApplyOutcome.UNCHANGED
    invitations = tuple(
        Invitation(username, f"{workspace.public_url.rstrip('/')}{path}") for username, path in result.invitations
    )
    return CustomerApplyResult(customer.id, became, result.run, result.run is not None, invitations=invitations)


def _digest_inputs(workspace: Workspace, customer: CustomerPlan) -> str | None:
    """Of the files that the customer's configuration was read from."""
    folder = workspace.repository.folders.get(customer.id)
    return digest_inputs(folder, compute_blob_id) if folder else None


def _group_approvals(plan: Plan, approvals: Iterable[str]) -> Mapping[str, Sequence[str]]:
    """A hold's id begins with its customer's. All that were given for one customer have to fit."""
    given: dict[str, list[str]] = {}
    for approval in dict.fromkeys(approvals):
        given.setdefault(approval.split(":", 1)[0], []).append(approval)
    known = {customer.id for customer in plan.customers}
    strangers = sorted(set(given) - known)
    if strangers:
        raise Refusal(
            [
                build_error(
                    "unknown-hold",
                    f"{approval} is no hold of this plan: it has no customer {name}",
                    hint="a hold's id stands in the plan under HELD, and in `reconciler holds`",
                )
                for name in strangers
                for approval in given[name]
            ]
        )
    return given


def _refuse_altered_plan(plan: Plan) -> None:
    """What an apply keeps of a customer's configuration must be what the plan says that it was made from."""
    altered = [
        customer.id
        for customer in plan.customers
        if customer.settings is not None
        and compute_plan_settings_digest(customer.id, customer.settings) != customer.precondition.declared
    ]
    if altered:
        raise Refusal(
            [
                build_error(
                    "altered-plan",
                    f"the plan's configuration of {name} is not the one that it was made from; nothing was changed",
                    hint="make a new plan, and review it",
                )
                for name in altered
            ]
        )


def _has_configuration_changed(workspace: Workspace, customer: CustomerPlan) -> bool:
    """True where the files say something else now than they did for the plan."""
    repository = workspace.repository
    if customer.id in repository.invalid:
        return True
    if customer.id == CATALOG:
        declared = {(each.kind, each.id): each.document for each in repository.catalog}
        return compute_settings_digest(declared) != customer.precondition.declared
    resolved = repository.customers.get(customer.id)
    if resolved is None:
        return customer.precondition.declared is not None
    declared = {(each.kind, each.id): each.document for each in resolved.documents}
    return compute_settings_digest(declared) != customer.precondition.declared


def _collect_secrets(
    workspace: Workspace, customer: CustomerPlan
) -> tuple[Mapping[str, SecretStr], tuple[Diagnostic, ...]]:
    """Every secret that the configuration names, by path; those that are not set, or of no use, as errors."""
    resolved = workspace.repository.customers.get(customer.id)
    if resolved is None:
        return {}, ()
    declared = resolved.documents[0]
    document = declared.document
    values: dict[str, SecretStr] = {}
    missing = []
    for path, name in find_secret_references(document):
        value = workspace.secrets.get_secret(customer.id, name)
        if value is not None:
            values[path] = value
            if is_invalid_signing_secret(path, value):
                missing.append(
                    describe_invalid_signing_secret(workspace.secrets, customer.id, name, declared.origins.get(path))
                )
        elif not path.startswith(ADMINISTRATORS) or _is_new_administrator(customer, path):
            missing.append(
                build_error(
                    "secret-not-set",
                    f"the secret {name} of {customer.id} is not set; nothing of {customer.id} was applied",
                    declared.origins.get(path),
                    f"set {workspace.secrets.describe_place(customer.id, name)}",
                )
            )
    return values, tuple(missing)


def _is_new_administrator(customer: CustomerPlan, path: str) -> bool:
    """An administrator's password is needed only to make the account. path: of the password."""
    if customer.precondition.version is None:
        return True
    owner = path.rpartition(".")[0]
    return any(
        field.path in (owner, ADMINISTRATORS.rstrip(".")) and field.before is None
        for change in customer.document_changes
        if change.kind is Kind.CUSTOMER
        for field in change.fields
    )


def _describe_unfit_approval(customer: CustomerPlan, approval: str) -> Diagnostic:
    now = f"what is held now is {customer.hold.id}" if customer.hold else "nothing of it is held"
    return build_error(
        "hold-does-not-fit",
        f"{approval} does not fit: {now}; nothing of {customer.id} was applied",
        hint="an approval releases exactly the set that was reviewed: look at the plan again",
    )


def _describe_stale_configuration(customer: CustomerPlan) -> Diagnostic:
    return build_error(
        "stale-configuration",
        f"the configuration of {customer.id} is not what the plan was made from; nothing of it was applied",
        hint="plan again, and review what it would do now",
    )
