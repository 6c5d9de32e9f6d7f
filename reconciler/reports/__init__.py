"""A Plan in, text out: terminal and JSON, and the JSON Schema of the latter. Never sees a store."""
