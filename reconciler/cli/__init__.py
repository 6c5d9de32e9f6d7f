"""The command line: parse options, call an operation, print a report and set the exit code."""
