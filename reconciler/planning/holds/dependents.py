"""Holds changes that depend on held ones, and those that would leave a customer without a person it needs."""

import polars as pl

from reconciler.model.kind import Kind
from reconciler.model.role import Role
from reconciler.model.roster import ROLE_SEPARATOR
from reconciler.planning.frames.losses import is_leaving, is_vanishing
from reconciler.planning.holds.state import HoldState

#: Roles that a customer must not lose once somebody has them.
ESSENTIAL_ROLES = (Role.TEACHER, Role.STUDENT)


def hold_last_of_role(state: HoldState) -> HoldState:
    """Hold the losses of a role that nobody would have any more."""
    empty = _find_roles_left_empty(state.counted[Kind.USER], state.population.people)
    state = keep_last_of_role(state)
    return state.add_causes(*(f"Nobody with the role {role} would be left." for role in empty))


def keep_last_of_role(state: HoldState) -> HoldState:
    """Hold the losses of an essential role that nobody would have, without a sentence on it."""
    for role in _find_roles_left_empty(state.changes[Kind.USER], state.population.people):
        lost = is_leaving(Kind.USER) | pl.col("role").ne_missing(pl.col("before_role"))
        state = state.hold_where(Kind.USER, lost & (pl.col("before_role") == role))
    return state


def _find_roles_left_empty(users: pl.DataFrame, people: pl.DataFrame) -> list[str]:
    """Return the essential roles that somebody has now and nobody would have after the changes that are not held."""
    leaving = users.filter(is_leaving(Kind.USER) & ~pl.col("held"))
    changed = users.filter(~is_leaving(Kind.USER) & ~pl.col("held") & pl.col("role").ne_missing(pl.col("before_role")))
    empty = []
    for role in ESSENTIAL_ROLES:
        holders = people.filter(pl.col("role") == role.value)
        is_former = (pl.col("before_role") == role.value) & pl.col("live_id").is_in(holders["id"].implode())
        lost = holders.join(leaving, left_on="id", right_on="live_id", how="semi").height
        lost += changed.filter(is_former).height
        gained = changed.filter(pl.col("role") == role.value).height
        if lost and holders.height - lost + gained <= 0:
            empty.append(role.value)
    return empty


def hold_dependent_enrollments(state: HoldState) -> HoldState:
    """Hold the enrollments of held people and classes: leavers keep theirs, and newcomers get none yet."""
    users, classes = state.changes[Kind.USER].filter("held")["key"], state.changes[Kind.CLASS].filter("held")["key"]
    if not users.len() and not classes.len():
        return state
    return state.hold_where(
        Kind.ENROLLMENT,
        pl.col("before_user").is_in(users.implode())
        | pl.col("before_class").is_in(classes.implode())
        | pl.col("user").is_in(users.implode())
        | pl.col("class").is_in(classes.implode()),
    )


def hold_orgs_in_use(state: HoldState) -> HoldState:
    """Hold the deletion of orgs to which a person, a class or another org belongs afterwards."""
    leaving = state.changes[Kind.ORG].filter(is_leaving(Kind.ORG))["key"]
    if not leaving.len():
        return state
    needed = _list_needed_orgs(state)
    while True:
        state = state.hold_where(Kind.ORG, is_leaving(Kind.ORG) & pl.col("key").is_in(needed.implode()))
        removed = state.changes[Kind.ORG].filter(is_leaving(Kind.ORG) & ~pl.col("held"))["key"]
        staying = state.population.orgs.filter(~pl.col("sourced_id").is_in(removed.implode()))
        parents = staying["parent"].drop_nulls().unique()
        above = parents.filter(parents.is_in(leaving.implode()) & ~parents.is_in(needed.implode()))
        if not above.len():
            break
        needed = pl.concat([needed, above.alias("org")])
    if removed.len() == leaving.len():
        return state
    return state.add_causes("A school or other org would be removed while people or classes still belong to it.")


def _list_needed_orgs(state: HoldState) -> pl.Series:
    """Return the orgs that people and classes belong to after the changes that are not held."""
    live, users, classes = state.population, state.changes[Kind.USER], state.changes[Kind.CLASS]
    moved = users.filter(~pl.col("held") & pl.col("live_id").is_not_null())["live_id"]
    arrived = users.filter(~pl.col("held") & ~is_leaving(Kind.USER))["roles"].drop_nulls()
    taught = classes.filter(~pl.col("held"))
    return pl.concat(
        [
            live.roles.filter(~pl.col("account_id").is_in(moved.implode()))["org"],
            arrived.str.split(ROLE_SEPARATOR).explode().str.extract(r"^(.*)=", 1).alias("org"),
            live.classes.filter(~pl.col("sourced_id").is_in(taught["key"].implode()))["school"].alias("org"),
            taught.filter(~is_vanishing(Kind.CLASS))["school"].alias("org"),
        ]
    ).drop_nulls()
