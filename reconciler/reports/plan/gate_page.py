"""docs/reference/gates.md, from the table of gates."""

from __future__ import annotations

from reconciler.model.gate import GATES, Gate, GateOutcome

HEAD = """\
# Source gates

What a roster must pass before anything that is missing from it counts as gone. A **refused** source changes nothing for
its customer. A gate that **holds** still compares: everything is listed and counted, what would take something away
waits for a person, and with nothing of the kind the gate is a warning.

`allow: [{gate: CODE, until: DAY, reason: …}]` under `rostering` lets a gate pass until a day, where the last column
says so. An allowance that has ended, or that nothing needs, is told in every plan.

| code | a source is | it looks at | in plain words | may be allowed |
| --- | --- | --- | --- | --- |
"""


def render_gates_page() -> str:
    return HEAD + "".join(_format_gate_row(gate) for gate in GATES.values())


def _format_gate_row(gate: Gate) -> str:
    outcome = "refused" if gate.outcome is GateOutcome.REFUSED else "held"
    return (
        f"| `{gate.code}` | {outcome} | {gate.looks_at} | {gate.sentence} | "
        f"{'yes' if gate.can_be_allowed else 'no'} |\n"
    )
