"""Holds YAML documents against the models and reports each mistake at the place where it was written."""
