"""The frozen models of what people write: one module for each part of a document."""
