"""Turn the JSON records of an API into the rows of CSV files."""
