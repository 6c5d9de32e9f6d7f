"""The OneRoster CSV standard as data: files, columns and value forms of 1.1 and 1.2."""
