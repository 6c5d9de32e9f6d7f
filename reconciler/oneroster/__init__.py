"""Rosters as OneRoster gives them: the standard as data, a bundle read whole or refused whole, bad rows set aside."""
