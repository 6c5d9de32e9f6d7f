"""Pure functions: what belongs to a customer, who is who, what differs, what limits hold, what a plan's digest is.

No store, no network, no files, no clock in here: the same input gives the same plan.
"""
