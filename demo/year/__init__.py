"""A school year of a made-up district, played day by day through `plan` and `apply`: nobody may be lost, nobody
doubled. `python -m demo.year` plays it."""
