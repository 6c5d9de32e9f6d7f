"""Finds the files of a customers repository, reads each with what it inherits, and resolves whole customers."""
