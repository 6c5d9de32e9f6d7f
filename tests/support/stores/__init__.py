"""Access to stores without the program."""
