"""Carry out the verbs: the only package in which files, rosters, planning and the store meet."""
