"""Text out of values: of a Plan for people and programs, of diagnostics for code review. Never sees a store."""
