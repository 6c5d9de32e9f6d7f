"""Convert the output of `reconciler validate --format json` to the report of GitLab's merge request widget.

Usage: codequality.py DIAGNOSTICS.json > gl-code-quality-report.json
"""

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

SEVERITIES = {"error": "critical", "warning": "minor", "info": "info"}


def build_finding(diagnostic: dict[str, Any]) -> dict[str, Any]:
    """Convert one diagnostic to a finding. The fingerprint stays the same when lines move."""
    place, text = diagnostic["file"] or "reconciler.yaml", f"{diagnostic['message']} [{diagnostic['code']}]"
    return {
        "description": text,
        "check_name": diagnostic["code"],
        "fingerprint": hashlib.sha256(f"{place}\0{text}".encode()).hexdigest(),
        "severity": SEVERITIES.get(diagnostic["severity"], "info"),
        "location": {"path": place, "lines": {"begin": diagnostic["line"] or 1}},
    }


if __name__ == "__main__":
    found = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))["diagnostics"]
    json.dump([build_finding(each) for each in found], sys.stdout, indent=2)
