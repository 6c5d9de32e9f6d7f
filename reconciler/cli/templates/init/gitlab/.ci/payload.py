"""The number of the merge request that a webhook tells of; nothing where it tells of something else.

Usage: payload.py FILE, GitLab's TRIGGER_PAYLOAD. Nothing else of it is believed: the rest is asked of the API.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

#: what can change the plan or who approved it
ACTIONS = {"open", "reopen", "update", "approved", "approval", "unapproved", "unapproval"}

if __name__ == "__main__":
    told = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    attributes = told.get("object_attributes", {})
    if told.get("object_kind") == "merge_request" and attributes.get("action") in ACTIONS:
        print(int(attributes["iid"]))
