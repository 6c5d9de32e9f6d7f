"""Print the number of the merge request that a webhook reports, or nothing for any other event.

Usage: payload.py FILE, with GitLab's TRIGGER_PAYLOAD. Only the number is used; everything else is read from the API.
"""

import json
import sys
from pathlib import Path

#: actions that can change the plan or its approvals
ACTIONS = {"open", "reopen", "update", "approved", "approval", "unapproved", "unapproval"}

if __name__ == "__main__":
    payload = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    attributes = payload.get("object_attributes", {})
    if payload.get("object_kind") == "merge_request" and attributes.get("action") in ACTIONS:
        print(int(attributes["iid"]))
