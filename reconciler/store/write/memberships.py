"""Update the memberships of rostered people in a customer's communities, as the communities' documents say.

Memberships from launches and join links stay unchanged.
"""

from collections.abc import Mapping

import orjson
import polars as pl

from reconciler.store.write.rows import WriteContext

WANTED_TABLE = "wanted_memberships"

ROSTERED_SQL = "SELECT count(*) FROM issuers WHERE customer_id = :customer AND kind = 'roster'"
NOBODY_SQL = "DELETE FROM memberships WHERE customer_id = :customer AND source = 'roster'"

#: People with an identity of the customer's roster; a school includes the orgs below it.
MATCHING_SQL = """
INSERT INTO {wanted} (account_id, community_id, role)
SELECT a.id, CAST(:community AS BIGINT), a.role FROM accounts a
WHERE a.customer_id = :customer AND a.tombstoned_at IS NULL AND a.role IS NOT NULL
  AND EXISTS (SELECT 1 FROM identities i JOIN issuers x ON x.id = +i.issuer_id
              WHERE i.account_id = a.id AND x.customer_id = :customer AND x.kind = 'roster')
  {of_schools} {of_roles}
"""
OF_SCHOOLS = """
AND EXISTS (SELECT 1 FROM account_roles r WHERE r.account_id = a.id AND r.org_id IN (
    SELECT c.descendant_id FROM {schools} s JOIN orgs o ON o.customer_id = :customer AND o.sourced_id = s.name
    JOIN org_closure c ON c.ancestor_id = o.id))
"""
OF_ROLES = "AND a.role IN (SELECT name FROM {roles})"

#: NOT IN, because with NOT EXISTS SQLite would read the whole temporary table for each member.
GONE_SQL = """
DELETE FROM memberships WHERE customer_id = :customer AND source = 'roster'
  AND (account_id, community_id, role) NOT IN (SELECT account_id, community_id, role FROM {wanted})
"""
NEW_SQL = """
INSERT INTO memberships (account_id, community_id, role, source, customer_id)
SELECT w.account_id, w.community_id, w.role, 'roster', CAST(:customer AS BIGINT) FROM {wanted} w
WHERE NOT EXISTS (
    SELECT 1 FROM memberships m WHERE m.account_id = w.account_id AND m.community_id = w.community_id
      AND m.role = w.role AND m.source = 'roster')
ORDER BY w.account_id, w.community_id
"""


def save_memberships(context: WriteContext) -> None:
    """Recompute the memberships after a change of people, orgs or communities.

    A community's `members` lists schools and roles; a missing list means all.
    """
    connection = context.connection
    if not connection.fetch_scalar(ROSTERED_SQL, context.facts):
        connection.execute(NOBODY_SQL, context.facts)
        return
    communities = connection.fetch_rows(
        "SELECT id, document FROM communities WHERE customer_id = :customer AND tombstoned_at IS NULL ORDER BY id",
        context.facts,
    )
    empty = pl.DataFrame(schema={"account_id": pl.Int64, "community_id": pl.Int64, "role": pl.String})
    with connection.stage_frame(WANTED_TABLE, empty) as wanted:
        for number, document in communities:
            members = orjson.loads(document).get("members") or {}
            _add_members(context, wanted, number, members)
        connection.analyze_staged_table(wanted)
        connection.execute(GONE_SQL.format(wanted=wanted), context.facts)
        connection.execute(NEW_SQL.format(wanted=wanted), context.facts)


def _add_members(context: WriteContext, wanted: str, community: int, members: Mapping[str, list[str] | None]) -> None:
    schools, roles = members.get("schools"), members.get("roles")
    with (
        context.connection.stage_frame("member_schools", _build_name_frame(schools)) as in_schools,
        context.connection.stage_frame("member_roles", _build_name_frame(roles)) as in_roles,
    ):
        context.connection.execute(
            MATCHING_SQL.format(
                wanted=wanted,
                of_schools=OF_SCHOOLS.format(schools=in_schools) if schools is not None else "",
                of_roles=OF_ROLES.format(roles=in_roles) if roles is not None else "",
            ),
            {**context.facts, "community": community},
        )


def _build_name_frame(values: list[str] | None) -> pl.DataFrame:
    return pl.DataFrame({"name": sorted(values or [])}, schema={"name": pl.String})
