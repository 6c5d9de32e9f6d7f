"""The institution's admin: writes the customer's file, and decides what is held by what is true."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from demo.district import DISTRICT
from demo.year.export import build_enrollment_id
from demo.year.member import Member
from demo.year.office import Office
from demo.year.platform import CUSTOMER
from demo.year.program import PlanResult

CUSTOMER_FILE = """\
kind: customer
id: {customer}
name: Springfield Unified School District
administrators:
  - {{given_name: Hal, family_name: Lindqvist, email: hal@springfield.example, username: hlindqvist, role: admin}}
address: {{street: [420 Evergreen Avenue], city: Springfield, region: IL, postal_code: "62701", country: US}}
agreements: {{privacy_policy: 2026-08-01, terms_of_service: 2026-08-01}}
rostering:
  type: oneroster
  client_partner_id: {org}
  match_with: identifier
  suffix: "@springfield"
  sync: {{type: zip}}
  limits:
    window: 7d
    users: {{percent: {percent}, per_school_percent: {per_school}, floor: 5}}
"""
LESSON = "kind: lesson\nid: {id}\ntitle: {title}\nurl: https://lessons.example/{id}\n"
LESSONS = {"fractions": "Fractions", "cells": "Cells", "river": "The river", "photosynthesis": "Photosynthesis"}
#: stricter than the defaults: a district of twelve hundred hardly loses thirty people in a week
PERCENT, PER_SCHOOL, FLOOR = 3, 6, 5


@dataclass(slots=True)
class Admin:
    """calendar, approvals, allow: lines of the customer's YAML, as they were written until now."""

    folder: Path
    calendar: list[str] = field(default_factory=list)
    approvals: list[str] = field(default_factory=list)
    allow: list[str] = field(default_factory=list)

    def write_files(self) -> None:
        place = self.folder / "customers" / CUSTOMER
        (place / "lessons").mkdir(parents=True)
        for name, title in LESSONS.items():
            (place / "lessons" / f"{name}.yaml").write_text(LESSON.format(id=name, title=title), encoding="utf-8")
        self.write_customer()

    def restrict_to_adds(self, first: date, last: date) -> None:
        self.calendar.append(f"{{from: {first}, to: {last}, mode: adds_only}}")
        self.write_customer()

    def add_pre_approval(self, people: int, until: date, reason: str) -> None:
        self.approvals.append(f"{{people: {people}, until: {until}, reason: {reason}}}")
        self.write_customer()

    def allow_gate(self, gate: str, until: date, reason: str) -> None:
        self.allow.append(f"{{gate: {gate}, until: {until}, reason: {reason}}}")
        self.write_customer()

    def write_customer(self) -> None:
        text = CUSTOMER_FILE.format(customer=CUSTOMER, org=DISTRICT, percent=PERCENT, per_school=PER_SCHOOL)
        for key in ("calendar", "approvals", "allow"):
            lines = getattr(self, key)
            if lines:
                text += f"  {key}:\n" + "".join(f"    - {line}\n" for line in lines)
        (self.folder / "customers" / CUSTOMER / "customer.yaml").write_text(text, encoding="utf-8")

    def agrees_with_plan(self, office: Office, plan_result: PlanResult) -> bool:
        """Whether all that is held is as it is in truth."""
        here = {key: member for member in office.list_present() for key in member.sourced_ids}
        seats = {build_enrollment_id(office, member, key) for member in office.list_present() for key in member.seats}
        right = {
            "user": lambda change: _is_right_person(change, here),
            "class": lambda change: (change["key"] in office.sections) is (change["action"] != "delete"),
            "enrollment": lambda change: (change["key"] in seats) is (change["action"] != "delete"),
            "org": lambda change: change["action"] != "delete",
        }
        return all(
            right[change["kind"]](change) for change in plan_result.iter_held_changes() if change["kind"] in right
        )


def _is_right_person(change: dict[str, Any], here: dict[str, Member]) -> bool:
    """Whoever is removed is gone; whoever gets a new sourcedId is the one who had the old; all else is as it is."""
    member = here.get(change["key"])
    if member is None or change["action"] in ("delete", "suspend"):
        return change["action"] in ("delete", "suspend") and (member is None or not member.enabled)
    person = member.person
    true = {
        "sourced_id": person.sourced_id,
        "given_name": person.given_name,
        "family_name": person.family_name,
        "email": person.email,
        "roster_username": person.username,
        "identifier": person.identifier,
        "role": person.role,
    }
    former = [each["before"] for each in change["fields"] if each["path"] == "sourced_id"]
    return set(former) <= set(member.former) and all(
        each["after"] == true[each["path"]] for each in change["fields"] if each["path"] in true
    )
