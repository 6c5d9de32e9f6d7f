"""Apply a plan customer by customer: one that fails, is stale or is held does not stop the others."""

import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TypeAlias

from pydantic import SecretStr

from reconciler.config.inputs import compute_blob_id, digest_inputs
from reconciler.config.models import find_secret_references
from reconciler.log import log_step
from reconciler.model.diagnostic import Diagnostic, Refusal, build_error, build_info, build_warning
from reconciler.model.ids import CustomerId, HoldId, RunId
from reconciler.model.kind import Kind
from reconciler.model.plan import CATALOG, CustomerPlan, Outcome, Plan
from reconciler.model.settings import compute_settings_digest
from reconciler.operations.actor import find_actor, find_git_commit
from reconciler.operations.failure import UNEXPECTED_EXCEPTIONS, is_misconfigured, report_unexpected_error
from reconciler.operations.notify.deliver import describe_invalid_webhook_value
from reconciler.operations.plan.documents import compute_plan_settings_digest
from reconciler.operations.plan.secrets import ADMINISTRATORS
from reconciler.operations.undo.documents import collect_undo_secrets
from reconciler.operations.workspace import Workspace, refuse_other_store
from reconciler.planning.plan_id import digest_effects, drop_held_digests, pack_digests
from reconciler.store.errors import StalePlan, UnconfirmedCommit
from reconciler.store.open import Store
from reconciler.store.write import ApplyJob, apply_customer

_log = logging.getLogger(__name__)


def _find_recorded_run(store: Store, plan: Plan, customer: CustomerPlan, approvals: Collection[HoldId]) -> RunId | None:
    """Return the newest run that applied this plan to the customer with these approvals.

    None without one, or if the store cannot be read. A plan made after a run is another plan, even with the same
    changes.
    """
    try:
        with store.open_reader() as reader:
            runs = reader.list_runs(customer.id)
    except Refusal:
        return None
    matches = (
        run.id
        for run in runs
        if run.plan_id == plan.plan_id and run.started_at >= plan.created_at and set(approvals) <= set(run.approvals)
    )
    return next(matches, None)


def _describe_already_applied(customer: CustomerPlan, run: RunId) -> Diagnostic:
    return build_info(
        "already-applied",
        f"{customer.id}: this plan was already applied by run {run}; nothing was changed",
        hint="Make a new plan to see what is left to do.",
    )


def _describe_lost_answer(customer: CustomerPlan, run: RunId) -> Diagnostic:
    return build_warning(
        "answer-lost",
        f"{customer.id}: the connection was lost while run {run} was written, but the run is complete",
        hint=f"If invitation links are missing, make new ones: reconciler invite {customer.id} USERNAME",
    )


class ApplyOutcome(StrEnum):
    APPLIED = "applied"
    UNCHANGED = "unchanged"
    #: everything except the held changes was applied
    HELD = "held"
    #: an approval named another hold
    UNFIT = "unfit"
    STALE = "stale"
    REFUSED = "refused"
    INVALID = "invalid"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Invitation:
    """Link with which a new administrator chooses a password; shown once and never saved."""

    username: str
    link: str


HandOver: TypeAlias = Callable[[CustomerId, RunId, Sequence[Invitation]], object]


def build_invitation(workspace: Workspace, username: str, path: str) -> Invitation:
    """Return an invitation with the full URL of its page."""
    return Invitation(username, f"{workspace.public_url.rstrip('/')}{path}")


@contextmanager
def refuse_unwritable_invitations(customer: CustomerId) -> Iterator[None]:
    """Turn an OSError into a Refusal that names nobody, since it may end up in a log."""
    try:
        yield
    except OSError as problem:
        why = problem.strerror or "input/output error"
        raise Refusal(
            [
                build_error(
                    "invitations-unwritable",
                    f"the invitation links of {customer} cannot be written to this folder: {why}; nothing was changed "
                    f"for {customer}",
                    hint="Run this again in a folder that you can write to, or on a terminal.",
                )
            ]
        ) from problem


@dataclass(frozen=True, slots=True)
class CustomerApplyResult:
    id: CustomerId
    outcome: ApplyOutcome
    run: RunId | None = None
    has_written: bool = False
    diagnostics: tuple[Diagnostic, ...] = ()
    invitations: tuple[Invitation, ...] = ()


def apply_plan(
    workspace: Workspace,
    plan: Plan,
    approvals: Iterable[HoldId] = (),
    *,
    lock_timeout: float = 0.0,
    on_finished: Callable[[CustomerApplyResult], object] = lambda result: None,
    hand_over: HandOver = lambda customer, run, invitations: None,
) -> tuple[CustomerApplyResult, ...]:
    """Apply the plan and return the results in its order.

    approvals: ids of holds. on_finished: called with each result at once, so that an interrupt loses none. hand_over:
    called with the links before a customer's run commits; if it raises OSError, that customer is not applied. Raises
    Refusal if the plan is for another store or was changed, or an approval names a customer outside the plan."""
    refuse_other_store(plan.store, workspace.store)
    _refuse_altered_plan(plan)
    approvals_by_customer = _group_approvals(plan, approvals)
    provenance = _Provenance(
        find_actor(), None if workspace.uses_applied_config else find_git_commit(workspace.directory), hand_over
    )
    results = []
    with workspace.store.keep_open():
        for customer in plan.customers:
            with log_step(_log, "apply", customer=customer.id, plan=plan.plan_id) as facts:
                own_approvals = approvals_by_customer.get(customer.id, ())
                result = _apply_one(workspace, plan, customer, provenance, own_approvals, lock_timeout)
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
    actor: str
    #: of the files; None outside git
    git_commit: str | None
    hand_over: HandOver


def _apply_one(
    workspace: Workspace,
    plan: Plan,
    customer: CustomerPlan,
    provenance: _Provenance,
    approvals: Sequence[HoldId],
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
        run = _find_recorded_run(workspace.store, plan, customer, approvals)
        if run is not None:
            return CustomerApplyResult(
                customer.id, ApplyOutcome.UNCHANGED, diagnostics=(_describe_already_applied(customer, run),)
            )
        return CustomerApplyResult(customer.id, ApplyOutcome.STALE, diagnostics=stale.diagnostics)
    except UnconfirmedCommit as lost:
        run = _find_recorded_run(workspace.store, plan, customer, approvals)
        if run is None:
            return CustomerApplyResult(customer.id, ApplyOutcome.FAILED, diagnostics=lost.diagnostics)
        return CustomerApplyResult(
            customer.id,
            ApplyOutcome.HELD if customer.hold is not None and not approvals else ApplyOutcome.APPLIED,
            run,
            has_written=True,
            diagnostics=(_describe_lost_answer(customer, run),),
        )
    except Refusal as refusal:
        return CustomerApplyResult(customer.id, ApplyOutcome.FAILED, diagnostics=refusal.diagnostics)
    except UNEXPECTED_EXCEPTIONS as problem:  # one customer's defect must not keep the others from being applied
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
    # An undo is planned from the store alone, so the files may differ.
    if plan.undoes is None and _has_configuration_changed(workspace, customer):
        return CustomerApplyResult(
            customer.id, ApplyOutcome.STALE, diagnostics=(_describe_stale_configuration(customer),)
        )
    secrets: Mapping[str, SecretStr] = {}
    if not workspace.uses_applied_config:
        secrets, missing = (_collect_secrets if plan.undoes is None else collect_undo_secrets)(workspace, customer)
        if missing:
            return CustomerApplyResult(customer.id, ApplyOutcome.FAILED, diagnostics=missing)

    def hand_over(run: RunId, paths: Sequence[tuple[str, str]]) -> None:
        if not paths:
            return
        with refuse_unwritable_invitations(customer.id):
            provenance.hand_over(
                customer.id, run, tuple(build_invitation(workspace, username, path) for username, path in paths)
            )

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
            hand_over=hand_over,
        ),
        lock_timeout,
    )
    held = customer.hold is not None and not approved
    outcome = ApplyOutcome.HELD if held else ApplyOutcome.APPLIED if result.run is not None else ApplyOutcome.UNCHANGED
    invitations = tuple(build_invitation(workspace, username, path) for username, path in result.invitations)
    return CustomerApplyResult(customer.id, outcome, result.run, result.run is not None, invitations=invitations)


def _digest_inputs(workspace: Workspace, customer: CustomerPlan) -> str | None:
    """Return the digest of the customer's files, or None without files."""
    folder = workspace.repository.folders.get(customer.id)
    return digest_inputs(folder, compute_blob_id) if folder else None


def _group_approvals(plan: Plan, approvals: Iterable[HoldId]) -> Mapping[CustomerId, Sequence[HoldId]]:
    """Return the approvals by customer: a hold's id begins with its customer's. Raises Refusal."""
    groups: dict[CustomerId, list[HoldId]] = {}
    for approval in dict.fromkeys(approvals):
        groups.setdefault(CustomerId(approval.split(":", 1)[0]), []).append(approval)
    unknown = sorted(groups.keys() - {customer.id for customer in plan.customers})
    if unknown:
        raise Refusal(
            [
                build_error(
                    "unknown-hold",
                    f"hold {approval} is not in this plan; the plan has no customer {name}",
                    hint="Find hold IDs under HELD in the plan, or run: reconciler holds",
                )
                for name in unknown
                for approval in groups[name]
            ]
        )
    return groups


def _refuse_altered_plan(plan: Plan) -> None:
    """Raise Refusal if a customer's settings do not match the digest that the plan has of them."""
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
                    f"the settings of {name} in this plan were changed after it was made; nothing was applied",
                    hint="Make a new plan and review it.",
                )
                for name in altered
            ]
        )


def _has_configuration_changed(workspace: Workspace, customer: CustomerPlan) -> bool:
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
    """Return the values of the customer's secrets by path, and an error for each that is missing or invalid."""
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
            invalid = describe_invalid_webhook_value(workspace.secrets, customer.id, path, name, value)
            if invalid is not None:
                missing.append(replace(invalid, span=declared.origins.get(path)))
        elif not path.startswith(ADMINISTRATORS) or _is_new_administrator(customer, path):
            missing.append(
                build_error(
                    "secret-not-set",
                    f"secret {name} of {customer.id} is not set; nothing was applied for {customer.id}",
                    declared.origins.get(path),
                    f"Set {workspace.secrets.describe_place(customer.id, name)}.",
                )
            )
    return values, tuple(missing)


def _is_new_administrator(customer: CustomerPlan, path: str) -> bool:
    """Return True if apply creates the administrator, and so needs the password at this path."""
    if customer.precondition.version is None:
        return True
    owner = path.rpartition(".")[0]
    return any(
        field.path in (owner, ADMINISTRATORS.rstrip(".")) and field.before is None
        for change in customer.document_changes
        if change.kind is Kind.CUSTOMER
        for field in change.fields
    )


def _describe_unfit_approval(customer: CustomerPlan, approval: HoldId) -> Diagnostic:
    now = f"the current hold is {customer.hold.id}" if customer.hold else "nothing is held now"
    return build_error(
        "hold-does-not-fit",
        f"hold {approval} is out of date: {now}; nothing was applied for {customer.id}",
        hint="An approval covers exactly the changes that were reviewed. Review the plan again.",
    )


def _describe_stale_configuration(customer: CustomerPlan) -> Diagnostic:
    return build_error(
        "stale-configuration",
        f"the configuration of {customer.id} changed since the plan was made; nothing was applied",
        hint="Make a new plan and review it.",
    )
