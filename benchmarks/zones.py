"""What octoDNS is given to compare beside us: zones in YAML files on both sides, its own provider reading both."""

from __future__ import annotations

import random
from pathlib import Path

_CONFIGURATION = """\
manager:
  max_workers: 1
providers:
  source:
    class: octodns.provider.yaml.YamlProvider
    directory: {source}
    default_ttl: 3600
    enforce_order: false
  target:
    class: octodns.provider.yaml.YamlProvider
    directory: {target}
    default_ttl: 3600
    enforce_order: false
zones:
"""
_ZONE = """\
  {zone}:
    sources:
      - source
    targets:
      - target
"""
_RECORD = """\
host-{number:02d}:
  octodns:
    comment: a made-up record
  ttl: {ttl}
  type: A
  values:
    - 10.{first}.{second}.1
    - 10.{first}.{second}.2
"""


def write_zones(place: Path, zones: int, records: int, share: float, seed: int) -> tuple[Path, int]:
    """Writes the same zones as source and as target, with another ttl of one record in `share` of the zones. Returns
    the configuration's file, and the lines of YAML of the zones of one side."""
    chance = random.Random(seed)
    changed = set(chance.sample(range(zones), round(zones * share)))
    sides = {side: place / side for side in ("source", "target")}
    for folder in sides.values():
        folder.mkdir(parents=True, exist_ok=True)
    text = [_CONFIGURATION.format(**sides)]
    lines = 0
    for number in range(zones):
        zone = f"zone-{number:05d}.example."
        text.append(_ZONE.format(zone=zone))
        for side, folder in sides.items():
            changes = side == "source" and number in changed
            written = "---\n" + "".join(_render_record(number, each, changes) for each in range(records))
            (folder / f"{zone}yaml").write_text(written, encoding="utf-8")
        lines += written.count("\n")
    configuration = place / "config.yaml"
    configuration.write_text("".join(text), encoding="utf-8")
    return configuration, lines


def _render_record(zone: int, number: int, is_changed: bool) -> str:
    ttl = 600 if is_changed and not number else 300
    return _RECORD.format(number=number, ttl=ttl, first=zone // 256, second=zone % 256)
