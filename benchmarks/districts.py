"""A made-up customers repository of any size: each district with three communities, and edits of some of them.

The seed decides every value and every edit; no clock and no hash order.
"""

from __future__ import annotations

import random
import re
from pathlib import Path

COMMUNITIES = 3
GROUPS = 10

_DEFAULTS = """\
kind: defaults
timezone: America/Chicago
rostering:
  limits:
    users: {percent: 10}
community:
  login_timeout: 6h
"""

_CUSTOMER = """\
kind: customer
id: {id}
name: District {number}
profile:
  description: Schools of district {number}
  website: https://{id}.example
  phone: 555 {digits}
administrators:
  - given_name: Ada
    family_name: Byron
    email: ada@{id}.example
    username: ada
    role: admin
address:
  street:
    - {number} Main Street
  city: Town
  region: IL
  postal_code: "{digits}"
  country: US
agreements:
  privacy_policy: 2026-08-01
  terms_of_service: 2026-08-01
support:
  email: help@{id}.example
lti:
  platforms:
    - id: canvas
      version: "1.1"
      community: {id}-1
      consumer_key: {id}-canvas
      shared_secret:
        generated: true
      origins:
        - https://{id}.instructure.example
rostering:
  type: oneroster
  version: "1.1"
  client_partner_id: org-{id}
  match_with: identifier
  sync:
    type: zip
  limits:
    window: 7d
    users:
      percent: {percent}
"""

_COMMUNITY = """\
kind: community
id: {id}
name: School {place} of district {number}
site_license:
  seats: {seats}
  starts: 2026-08-01
  ends: 2027-07-31
members:
  schools:
    - s-{id}
lessons: all
join_links:
  - role: student
"""


def write_customers(customers: Path, count: int, seed: int) -> int:
    """Writes the folder of customers; returns its lines of YAML."""
    chance = random.Random(seed)
    lines = _write_file(customers / "defaults.yaml", _DEFAULTS)
    for number in range(count):
        name, folder = _locate_customer(customers, number)
        facts = {"id": name, "number": number, "digits": f"{number:05d}", "percent": chance.randint(5, 10)}
        lines += _write_file(folder / "customer.yaml", _CUSTOMER.format(**facts))
        for place in range(1, COMMUNITIES + 1):
            community = f"{name}-{place}"
            text = _COMMUNITY.format(id=community, place=place, number=number, seats=chance.randint(200, 2000))
            lines += _write_file(folder / "communities" / f"{community}.yaml", text)
    return lines


def edit_customers(customers: Path, count: int, share: int, seed: int) -> int:
    """Gives another value to one file in each of `share` customers: half of them another limit, the others other
    seats. Returns how many files that are."""
    chance = random.Random(seed)
    chosen = sorted(chance.sample(range(count), share))
    for turn, number in enumerate(chosen):
        name, folder = _locate_customer(customers, number)
        if turn % 2:
            _raise_value(folder / "customer.yaml", r"(?m)^      percent: (\d+)$")
        else:
            place = chance.randint(1, COMMUNITIES)
            _raise_value(folder / "communities" / f"{name}-{place}.yaml", r"(?m)^  seats: (\d+)$")
    return len(chosen)


def _raise_value(file: Path, pattern: str) -> None:
    text = file.read_text(encoding="utf-8")

    def more(found: re.Match[str]) -> str:
        return found[0].replace(found[1], str(int(found[1]) + 1))

    edited, times = re.subn(pattern, more, text)
    if times != 1:
        raise ValueError(f"{file} has not one such value")
    file.write_text(edited, encoding="utf-8")


def _locate_customer(customers: Path, number: int) -> tuple[str, Path]:
    name = f"district-{number:05d}"
    return name, customers / f"group-{number % GROUPS}" / name


def _write_file(file: Path, text: str) -> int:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    return text.count("\n")
