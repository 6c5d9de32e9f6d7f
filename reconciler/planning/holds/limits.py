"""Limits how much a roster may change without approval: counts and percents, per customer and school, over days.

A limit allows the larger of a floor and a percent of the active rows, rounded down, and never the loss of everyone in
a scope of two or more people. Unapproved changes of earlier runs within the window count too, so ten small losses are
one large one. Active rows are managed by the roster, not tombstoned and not an administrator's; a person of two schools
counts in both.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from reconciler.model.change import Action
from reconciler.model.kind import Kind
from reconciler.model.plan import LimitUse
from reconciler.model.reason import Reason
from reconciler.model.role import ADMINISTRATOR_ROLES, Role
from reconciler.model.roster import ROLE_SEPARATOR
from reconciler.planning.frames.live import has_any_role
from reconciler.planning.frames.losses import is_given_away, is_leaving

SCHOOL = "school"

USERS = "users"
CLASSES = "classes"
ENROLLMENTS = "enrollments"
REKEYS = "rekeys"
UPDATES = "updates"
SCOPE_NARROWED = "scope_narrowed"
ROLE_ESCALATIONS = "role_escalations"

#: Limits that count people who leave a school, whatever the reason.
PEOPLE_LOSS_LIMITS = (USERS, SCOPE_NARROWED)

#: The kind that each limit counts, and the action that it is shown as.
LIMIT_TARGETS: dict[str, tuple[Kind, Action]] = {
    USERS: (Kind.USER, Action.DELETE),
    SCOPE_NARROWED: (Kind.USER, Action.DELETE),
    CLASSES: (Kind.CLASS, Action.DELETE),
    ENROLLMENTS: (Kind.ENROLLMENT, Action.DELETE),
    REKEYS: (Kind.USER, Action.REKEY),
    UPDATES: (Kind.USER, Action.UPDATE),
    ROLE_ESCALATIONS: (Kind.USER, Action.UPDATE),
}

#: Uses by earlier runs: the limit's name, the row's id in the store, a person's orgs at the time, one per line. A lost
#: enrollment has a number of its own instead of the row's id, because the row may be somebody else's by now.
EARLIER_USES_SCHEMA: dict[str, type[pl.DataType]] = {"name": pl.String, "row_id": pl.Int64, "schools": pl.String}


def make_empty_earlier_uses() -> pl.DataFrame:
    return pl.DataFrame(schema=EARLIER_USES_SCHEMA)


@dataclass(frozen=True, slots=True)
class Threshold:
    """A percent of the active rows, but at least `floor`; `per_school_percent` is for people of one school."""

    percent: int
    floor: int
    per_school_percent: int | None = None

    def calculate_allowed(self, total: int, percent: int | None = None) -> int:
        return max(self.floor, total * (self.percent if percent is None else percent) // 100)


@dataclass(frozen=True, slots=True)
class Thresholds:
    """The threshold of each limit."""

    users: Threshold = Threshold(10, 5, 25)
    classes: Threshold = Threshold(25, 5)
    enrollments: Threshold = Threshold(25, 20)
    rekeys: Threshold = Threshold(20, 20)
    updates: Threshold = Threshold(50, 50)
    scope_narrowed: Threshold = Threshold(10, 5)
    #: applies to each field that a roster clears
    vanishing_values: Threshold = Threshold(10, 5, 25)
    role_escalations: Threshold = Threshold(0, 0)

    def get_threshold(self, name: str) -> Threshold:
        found: Threshold = getattr(self, name)
        return found


def match_counted_rows(*names: str) -> pl.Expr:
    """Return the expression that selects rows which count against one of these limits."""
    return pl.col("limits").str.contains(f"(^|,)({'|'.join(names)})(,|$)").fill_null(False)


def assign_limits(changes: Mapping[Kind, pl.DataFrame], *, has_rostered_people: bool) -> dict[Kind, pl.DataFrame]:
    """Return `changes` with `limits` set.

    `settled` means that the customer has rostered people already, so a new administrator is not the first one.
    """
    counted = dict(changes)
    for kind, name in ((Kind.CLASS, CLASSES), (Kind.ENROLLMENT, ENROLLMENTS)):
        if kind in counted:
            lost = is_leaving(kind) | is_given_away() if kind is Kind.ENROLLMENT else is_leaving(kind)
            counted[kind] = counted[kind].with_columns(
                pl.when(lost).then(pl.lit(name)).otherwise(pl.lit(None, dtype=pl.String)).alias("limits")
            )
    if Kind.USER in counted:
        counted[Kind.USER] = _assign_user_limits(counted[Kind.USER], has_rostered_people=has_rostered_people)
    return counted


#: Actions on accounts that are active and stay so.
_STAYING_ACTIONS = (
    Action.UPDATE.value,
    Action.SUSPEND.value,
    Action.RESUME.value,
    Action.REKEY.value,
    Action.ADOPT.value,
)


def _assign_user_limits(users: pl.DataFrame, *, has_rostered_people: bool) -> pl.DataFrame:
    new = pl.col("action") == Action.CREATE.value
    # None of the hundred thousand rows of a first load counts, so the costly rules apply only to the others.
    place = users.with_row_index("place")
    known = place.filter(~new)
    names = [known.select("place", _build_limit_names())]
    if has_rostered_people:
        names.append(
            place.filter(new & (_compute_role_rank("role", "roles") == ADMINISTERING_RANK)).select(
                "place", pl.lit(ROLE_ESCALATIONS).alias("limits")
            )
        )
    found = pl.concat(names).filter(pl.col("limits").is_not_null() & (pl.col("limits") != ""))
    return place.drop("limits").join(found, on="place", how="left", maintain_order="left").select(users.columns)


def _build_limit_names() -> pl.Expr:
    gone = is_leaving(Kind.USER)
    narrowed = pl.col("reason") == Reason.SCOPE_NARROWED.value
    other_key = pl.col("former_key").is_not_null() & (pl.col("former_key") != pl.col("key"))
    rekeyed = pl.col("action").is_in([Action.REKEY.value, Action.RESTORE.value]) & other_key
    staying = pl.col("action").is_in(_STAYING_ACTIONS) & ~gone
    moved = pl.any_horizontal(
        *[_is_changed(name, f"before_{name}") for name in ("username", "email")],
        _has_changed_orgs(),
    )
    raised = _compute_role_rank("role", "roles") > _compute_role_rank("before_role", "before_roles")
    rules = (
        (USERS, gone & ~narrowed),
        (SCOPE_NARROWED, gone & narrowed),
        (REKEYS, rekeyed),
        (UPDATES, staying & moved),
        (ROLE_ESCALATIONS, ~gone & raised),
    )
    return pl.concat_str(
        [pl.when(rule.fill_null(False)).then(pl.lit(name)) for name, rule in rules], separator=",", ignore_nulls=True
    ).alias("limits")


def _is_changed(name: str, before: str) -> pl.Expr:
    """Match changed values; a value that was empty before is added, not changed."""
    return pl.col(before).is_not_null() & pl.col(name).ne_missing(pl.col(before))


def _has_changed_orgs() -> pl.Expr:
    def orgs(column: str) -> pl.Expr:
        entries = pl.col(column).str.split(ROLE_SEPARATOR)
        return entries.list.eval(pl.element().str.extract(r"^(.*)=")).list.unique().list.sort()

    differ = _is_changed("roles", "before_roles")
    return differ & orgs("roles").ne_missing(orgs("before_roles"))


ADMINISTERING_RANK = 2
_TEACHING = (Role.TEACHER, Role.PRINCIPAL)


def _compute_role_rank(role: str, roles: str) -> pl.Expr:
    """Return 2 for an administrator anywhere, 1 for a teacher, else 0."""
    return (
        pl.when(has_any_role(ADMINISTRATOR_ROLES, role, roles))
        .then(pl.lit(ADMINISTERING_RANK))
        .when(has_any_role(_TEACHING, role, roles))
        .then(pl.lit(1))
        .otherwise(pl.lit(0))
    )


@dataclass(frozen=True, slots=True)
class LimitBase:
    """The active rows from which limits are computed."""

    #: those of `select_countable_people` who are bound to the roster
    people: pl.DataFrame
    #: `account_id`, `org`
    roles: pl.DataFrame
    #: all orgs, tombstones included
    orgs: pl.DataFrame
    #: the number of classes
    classes: int
    #: the number of enrollments
    enrollments: int
    #: people who are new within the window: a wrong file that adds people must not allow more to leave
    newcomers: int = 0

    def get_live_count(self, kind: Kind) -> int:
        return {Kind.CLASS: self.classes, Kind.ENROLLMENT: self.enrollments}.get(kind, self.people.height)


def compute_limit_uses(
    changes: Mapping[Kind, pl.DataFrame], base: LimitBase, earlier_uses: pl.DataFrame, thresholds: Thresholds
) -> tuple[LimitUse, ...]:
    """Return every limit of the customer, in the order of LIMIT_TARGETS, then one for each school by sourcedId.

    `earlier_uses` has only rows that are still gone and that nobody approved.
    """
    uses = []
    for name, (kind, action) in LIMIT_TARGETS.items():
        frame = changes.get(kind)
        planned = frame.filter(match_counted_rows(name)) if frame is not None else pl.DataFrame({"live_id": []})
        before = earlier_uses.filter(pl.col("name") == name)["row_id"].unique()
        if kind is not Kind.ENROLLMENT:
            before = before.filter(~before.is_in(planned["live_id"].cast(pl.Int64).drop_nulls().implode()))
        of = base.get_live_count(kind)
        allowed = thresholds.get_threshold(name).calculate_allowed(
            max(of - base.newcomers, 0) if kind is Kind.USER else of
        )
        if name in PEOPLE_LOSS_LIMITS:
            allowed = keep_at_least_one(allowed, of + before.len())
        label = "people" if kind is Kind.USER else kind.plural
        seen = planned.height + before.len()
        uses.append(LimitUse(kind, action, "customer", seen, allowed, of, label, name, before.len()))
    return (*uses, *_compute_school_uses(changes.get(Kind.USER), base, earlier_uses, thresholds.users))


def _compute_school_uses(
    users: pl.DataFrame | None, base: LimitBase, earlier_uses: pl.DataFrame, threshold: Threshold
) -> tuple[LimitUse, ...]:
    gone = (
        users.filter(match_counted_rows(*PEOPLE_LOSS_LIMITS))["live_id"].unique()
        if users is not None
        else pl.Series("live_id", [], dtype=pl.Int64)
    )
    # Deleted schools count as well: while somebody belongs to one, it can be lost.
    schools = base.orgs.filter(pl.col("type") == SCHOOL).select(pl.col("sourced_id").alias("org"), pl.col("name"))
    at_school = (
        base.roles.select(pl.col("account_id").alias("id"), "org")
        .unique()
        .join(base.people.select("id"), on="id", how="semi")
        .join(schools, on="org", how="inner")
    )
    table = at_school.group_by("org", "name").agg(
        pl.len().alias("of"), pl.col("id").is_in(gone.implode()).sum().alias("planned")
    )
    before = (
        earlier_uses.filter(pl.col("name").is_in(PEOPLE_LOSS_LIMITS) & ~pl.col("row_id").is_in(gone.implode()))
        .select("row_id", pl.col("schools").str.split("\n").alias("org"))
        .explode("org")
        .drop_nulls("org")
        .group_by("org")
        .agg(pl.col("row_id").n_unique().alias("earlier"))
    )
    table = table.join(before, on="org", how="left").with_columns(pl.col("earlier").fill_null(0)).sort("org")
    return tuple(
        LimitUse(
            Kind.USER,
            Action.DELETE,
            f"org:{org}",
            planned + lost,
            keep_at_least_one(threshold.calculate_allowed(live, threshold.per_school_percent), live + lost),
            live,
            name or org,
            USERS,
            lost,
        )
        for org, name, live, planned, lost in table.iter_rows()
    )


def keep_at_least_one(allowed: int, total: int) -> int:
    """Return what a limit allows without the loss of everything in a scope of two or more."""
    return min(allowed, total - 1) if total >= 2 else allowed


def find_exceeding_rows(
    changes: Mapping[Kind, pl.DataFrame], limits: tuple[LimitUse, ...], roles: pl.DataFrame
) -> pl.DataFrame:
    """Return `kind` and `key` of every row that an exceeded limit counts in its scope."""
    found = [pl.DataFrame(schema={"kind": pl.String, "key": pl.String})]
    for limit in limits:
        frame = changes.get(limit.kind)
        if not limit.exceeded or frame is None:
            continue
        if limit.scope == "customer":
            mine = frame.filter(match_counted_rows(limit.name))
        else:
            org = limit.scope.removeprefix("org:")
            theirs = roles.filter(pl.col("org") == org)["account_id"].unique()
            mine = frame.filter(match_counted_rows(*PEOPLE_LOSS_LIMITS) & pl.col("live_id").is_in(theirs.implode()))
        found.append(mine.select(pl.lit(limit.kind.value).alias("kind"), "key"))
    return pl.concat(found).unique(maintain_order=True)
