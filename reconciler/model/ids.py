"""Defines types for IDs, numbers and moments, so that a type checker tells one from another."""

from typing import NewType

#: a customer's ID in YAML, such as `springfield`; `@catalogue` for the shared lessons
CustomerId = NewType("CustomerId", str)

#: the row number of a customer in one store
CustomerNumber = NewType("CustomerNumber", int)

#: the `sourcedId` of a row in a roster, unique among rows of its kind
SourcedId = NewType("SourcedId", str)

#: the number of one apply in a store
RunId = NewType("RunId", int)

#: the ID of a plan: a digest of its effects
PlanId = NewType("PlanId", str)

#: the ID of a hold: `CUSTOMER:PEOPLE:DIGEST`
HoldId = NewType("HoldId", str)

#: a time in UTC as ISO-8601 text
Moment = NewType("Moment", str)
