"""Commands that show, apply and undo changes of the store."""
