"""Generate docs/reference/gates.md from the table of gates."""

from reconciler.model.gate import GATES, Gate, GateOutcome

HEAD = """\
# Source gates

Gates check a roster before anything missing from it counts as removed. A **refused** roster changes nothing. A **held**
roster is still compared: the plan lists every change, and removals wait for approval. Without removals, the gate is a
warning.

`allow: [{gate: CODE, until: DATE, reason: …}]` under `rostering` adds an exception for a gate until that date, if the
last column says yes. Every plan lists exceptions that have expired or are not needed.

| code | roster is | checks | meaning | exception possible |
| --- | --- | --- | --- | --- |
"""


def render_gates_page() -> str:
    """Return Markdown."""
    return HEAD + "".join(_format_gate_row(gate) for gate in GATES.values())


def _format_gate_row(gate: Gate) -> str:
    outcome = "refused" if gate.outcome is GateOutcome.REFUSED else "held"
    return (
        f"| `{gate.code}` | {outcome} | {gate.looks_at} | {gate.sentence} | "
        f"{'yes' if gate.can_be_allowed else 'no'} |\n"
    )
