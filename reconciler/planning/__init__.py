"""Pure functions that decide all changes: without store, network, files and clock, the same input gives the same plan.

From the lowest layer up: `frames` says what a row is; `documents`, `roster` and `undo` compare; `holds` keeps changes
back; `decision` compares and holds one roster; the modules beside them make, explain and review whole plans.
"""
