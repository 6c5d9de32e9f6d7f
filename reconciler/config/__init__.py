"""Turns the YAML files of a customers repository into frozen models, each value with its file, line and column."""
