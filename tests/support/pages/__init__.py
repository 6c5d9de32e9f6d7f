"""Plays the console blocks of README.md and of the pages under docs/, and records what they print."""
