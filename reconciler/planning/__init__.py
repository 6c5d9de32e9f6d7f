"""Decides all changes in pure functions: no store, network, files or clock, so the same input gives the same plan.

From the lowest layer up: `frames` defines the rows; `documents`, `roster` and `undo` compare; `holds` keeps changes
back; `decision` compares and holds one roster; the modules beside them make, explain and review whole plans.
"""
