"""Suggests the command or option that a wrong one probably means, by words of other tools and typing errors."""

from click import Group
from click.exceptions import NoSuchCommand, NoSuchOption

from reconciler.model.suggestion import find_intended_name

#: a verb of another tool -> the one here, or several of which the first that the group has counts
COMMAND_SYNONYMS: dict[str, str | tuple[str, ...]] = {
    "diff": "plan",
    "preview": "plan",
    "dry_run": "plan",
    "compare": "plan",
    "deploy": "apply",
    "execute": "apply",
    "lint": "validate",
    "check": ("check", "validate"),
    "format": "fmt",
    "log": "history",
    "runs": "history",
    "rollback": "undo",
    "revert": "undo",
    "restore": "undo",
    "export": "import",
    "create": "new",
    "add": "new",
    "why": "explain",
    "forget": "erase",
    "migrate": ("upgrade", "store"),
    "status": ("status", "store"),
    "download": "fetch",
    "test": "probe",
}

#: an option of another tool -> what to write instead, and the option that must exist for it
OPTION_SYNONYMS: dict[str, tuple[str, str]] = {
    "--auto-approve": ("--yes", "--yes"),
    "--assume-yes": ("--yes", "--yes"),
    "--no-input": ("--yes", "--yes"),
    "--non-interactive": ("--yes", "--yes"),
    "-y": ("--yes", "--yes"),
    "--json": ("--format json", "--format"),
    "--html": ("--format html", "--format"),
    "--markdown": ("--format markdown", "--format"),
    "--sarif": ("--format sarif", "--format"),
    "--output": ("--out", "--out"),
    "-o": ("--out", "--out"),
    "--file": ("--zip", "--zip"),
    "--environment": ("--env", "--env"),
    "-e": ("--env", "--env"),
    "--directory": ("--dir", "--dir"),
    "--path": ("--dir", "--dir"),
    "--chdir": ("--dir", "--dir"),
    "--database": ("--store", "--store"),
    "--since": ("--base", "--base"),
}

#: an option of another tool that no option replaces -> what to do instead
OPTION_ADVICE = {
    "--dry-run": "To see the changes without applying them, run reconciler plan.",
    "--verbose": "To see each step, begin with: reconciler --log-level info",
    "-v": "To see each step, begin with: reconciler --log-level info",
}


def suggest_command(problem: NoSuchCommand) -> str | None:
    """Return a hint for a command that does not exist, or None if nothing is near."""
    group = problem.ctx.command if problem.ctx is not None else None
    if problem.ctx is None or not isinstance(group, Group):
        return None
    meant = find_intended_name(problem.command_name, group.list_commands(problem.ctx), COMMAND_SYNONYMS)
    return f"Did you mean {problem.ctx.command_path} {meant}?" if meant else None


def suggest_option(problem: NoSuchOption) -> str | None:
    """Return a hint for an option that does not exist, or None if nothing is near."""
    if problem.ctx is None:
        return None
    written = problem.option_name
    options = {name: param for param in problem.ctx.command.get_params(problem.ctx) for name in param.opts}
    replacement, needed = OPTION_SYNONYMS.get(written, ("", ""))
    if needed in options:
        format_name = replacement.removeprefix("--format ")
        can_print = needed != "--format" or format_name in getattr(options["--format"].type, "choices", ())
        return f"Did you mean {replacement}?" if can_print else None
    if written in OPTION_ADVICE and written not in options:
        return OPTION_ADVICE[written]
    meant = find_intended_name(written, [name for name in options if name.startswith("--")])
    return f"Did you mean {meant}?" if meant else None
