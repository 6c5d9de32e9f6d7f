"""Rosters as OneRoster gives them: the standard as data, a bundle read whole or refused whole, each row good or set aside."""
