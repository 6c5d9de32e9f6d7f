"""Carry out what the verbs ask for: the only room where files, rosters, planning and the store meet."""
