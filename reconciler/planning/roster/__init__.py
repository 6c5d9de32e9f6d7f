"""Compares the people, orgs, classes and enrollments that a roster wants with those in the store."""

from reconciler.planning.roster.desired import DesiredRoster as DesiredRoster
from reconciler.planning.roster.desired import build_desired_roster as build_desired_roster
from reconciler.planning.roster.enrollments import open_enrollments as open_enrollments
from reconciler.planning.roster.merges import MergeEntry as MergeEntry
from reconciler.planning.roster.persons import combine_person_rows as combine_person_rows
from reconciler.planning.roster.persons import list_known_aliases as list_known_aliases
from reconciler.planning.roster.persons import normalize_name as normalize_name
from reconciler.planning.roster.placement import SCHOOLS_WITHOUT_PARENT as SCHOOLS_WITHOUT_PARENT
from reconciler.planning.roster.placement import UNPLACED_ORG as UNPLACED_ORG
from reconciler.planning.roster.placement import UnplacedRows as UnplacedRows
from reconciler.planning.roster.placement import cut_cycles as cut_cycles
from reconciler.planning.roster.placement import describe_unplaced_orgs as describe_unplaced_orgs
from reconciler.planning.roster.placement import (
    find_unplaced_rows_of_districts as find_unplaced_rows_of_districts,
)
from reconciler.planning.roster.removals import make_empty_sessions as make_empty_sessions
from reconciler.planning.roster.removals import merge_sessions as merge_sessions
from reconciler.planning.roster.seats import SeatLicense as SeatLicense
from reconciler.planning.roster.seats import warn_exceeded_seats as warn_exceeded_seats
from reconciler.planning.roster.selection import RosterSelection as RosterSelection
from reconciler.planning.roster.spelling import spell_as_stored as spell_as_stored
from reconciler.planning.roster.spelling import spell_protected_people as spell_protected_people
