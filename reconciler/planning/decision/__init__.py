"""Decides everything that changes in one customer's roster, from rows read to rows held."""
