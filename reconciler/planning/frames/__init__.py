"""The polars frames that planning shares with the store and reports: columns, types and the meaning of a row."""
