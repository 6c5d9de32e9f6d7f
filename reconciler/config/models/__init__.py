"""Holds the frozen pydantic models of the YAML documents, one module for each part of a document."""
