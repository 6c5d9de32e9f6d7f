"""A pull request against the example customers: what its comment and its report show, and pictures of both.

    python -m demo.pull_request --record docs

It plays in a folder of its own: a git repository with the examples and a dozen small customers, applied, with a day of
a roster. The pull request lifts a limit, syncs one school less, removes a customer and changes what all inherit.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from demo.credentials import write_secrets
from demo.people import write_day_one

ROOT = Path(__file__).resolve().parent.parent
TOWNS = (
    *("brockway", "capital-city", "cypress-creek", "haverbrook", "little-pwagmattasquarmsettport"),
    *("new-horrorfield", "north-haverbrook", "spittle-county", "swartzwelder", "waynesport", "west-springfield"),
)
SMALL = """\
kind: customer
id: {id}
name: {name} School District
administrators:
  - {{given_name: Ada, family_name: Byron, email: ada@{id}.example, username: ada, role: admin}}
address: {{street: [1 Main Street], city: {name}, region: IL, postal_code: "62700", country: US}}
agreements: {{privacy_policy: 2026-08-01, terms_of_service: 2026-08-01}}
rostering: {{type: manual}}
"""
#: (file below customers/, what it says, what the pull request makes of it)
EDITS = (
    ("defaults.yaml", "email: help@reader.example", "email: support@reader.example"),
    ("west-springfield/customer.yaml", "rostering:", "support: {email: desk@west-springfield.example}\nrostering:"),
    (
        "springfield/customer.yaml",
        "  sync: {type: zip}",
        "  sync: {type: zip}\n  limits: {users: {percent: 60}}\n  select: {schools: [s-high, s-middle, s-evergreen]}",
    ),
)
REMOVED = "spittle-county"
WIDTH, HEIGHT = 1100, 1000
#: about as a forge shows a comment
PAGE = """<!doctype html><meta charset="utf-8"><title>comment</title><style>
body{{font:14px/1.5 system-ui,sans-serif;color:#1f2328;margin:24px;background:#fff}}
main{{border:1px solid #d1d9e0;border-radius:6px;padding:16px;max-width:980px}}
table{{border-collapse:collapse;margin:8px 0 16px;display:block;overflow:auto}}
th,td{{border:1px solid #d1d9e0;padding:5px 12px;text-align:left;vertical-align:top}}
tr:nth-child(2n){{background:#f6f8fa}}code{{background:#818b981f;border-radius:6px;padding:.15em .35em;font-size:85%}}
blockquote{{margin:0 0 16px;padding:0 1em;border-left:.25em solid #d1d9e0;color:#59636e}}
</style><main>{content}</main>"""


@dataclass(frozen=True, slots=True)
class CiOutput:
    """What CI shows of the pull request."""

    comment: str
    report: str


def build_example(folder: Path) -> CiOutput:
    """folder: empty; the repository is made in it. Raises CalledProcessError where a command ends otherwise than it
    should."""
    shutil.copytree(ROOT / "customers", folder / "customers")
    shutil.copy(ROOT / "reconciler.yaml", folder)
    write_secrets(folder / ".demo" / "secrets")
    for town in TOWNS:
        place = folder / "customers" / town / "customer.yaml"
        place.parent.mkdir()
        place.write_text(SMALL.format(id=town, name=town.replace("-", " ").title()), encoding="utf-8")
    _run_git(folder, "init", "--quiet", "--initial-branch", "main")
    _commit_customers(folder)
    write_day_one(folder / ".demo" / "day-1.zip")
    _run_reconciler(folder, "apply", "--yes")
    _run_reconciler(folder, "apply", "springfield", "--zip", ".demo/day-1.zip", "--yes")
    for name, before, after in EDITS:
        path = folder / "customers" / name
        text = path.read_text(encoding="utf-8")
        if before not in text:
            raise ValueError(f"{name} does not say {before!r} any more")
        path.write_text(text.replace(before, after), encoding="utf-8")
    shutil.rmtree(folder / "customers" / REMOVED)
    shown = [_run_reconciler(folder, "plan", "--base", "main", "--format", form) for form in ("markdown", "html")]
    return CiOutput(*shown)


def capture_page(page: Path, picture: Path, *, height: int = HEIGHT) -> None:
    """page: an HTML file. Raises CalledProcessError, FileNotFoundError where there is no chromium."""
    options = ("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--force-device-scale-factor=1")
    size = f"--window-size={WIDTH},{height}"
    command = ["chromium", *options, size, f"--screenshot={picture}", page.resolve().as_uri()]
    subprocess.run(command, check=True, capture_output=True, timeout=120)


def record_pictures(output: CiOutput, docs: Path) -> None:
    """Draws both pictures below `docs`."""
    from markdown_it import MarkdownIt

    content = MarkdownIt("gfm-like", {"html": True, "linkify": False}).render(output.comment)
    with tempfile.TemporaryDirectory() as place:
        pages = {
            "pull-request-comment": PAGE.format(content=content.replace("<details>", "<details open>")),
            "pull-request-report": output.report,
        }
        for name, text in pages.items():
            page = Path(place) / f"{name}.html"
            page.write_text(text, encoding="utf-8")
            capture_page(page, (docs / f"{name}.png").resolve())


def _run_reconciler(folder: Path, *words: str) -> str:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RECONCILER_")}
    kept["PYTHONPATH"] = os.pathsep.join([str(ROOT), *filter(None, [kept.get("PYTHONPATH")])])
    command = [sys.executable, "-m", "reconciler", *words]
    return subprocess.run(command, cwd=folder, env=kept, check=True, capture_output=True, text=True).stdout


def _run_git(folder: Path, *words: str) -> None:
    who = ("-c", "user.name=Demo", "-c", "user.email=demo@reader.example")
    subprocess.run(["git", "-C", str(folder), *who, *words], check=True, capture_output=True)


def _commit_customers(folder: Path) -> None:
    _run_git(folder, "add", "customers", "reconciler.yaml")
    _run_git(folder, "commit", "--quiet", "--message", "the customers")


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--record", type=Path, metavar="DOCS", help="draw the pictures below this folder")
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory() as place:
        shown = build_example(Path(place))
    if chosen.record:
        record_pictures(shown, chosen.record)
    else:
        print(shown.comment)
    return 0


if __name__ == "__main__":
    sys.exit(main())
