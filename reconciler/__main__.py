"""`python -m reconciler` is the command `reconciler`."""

from reconciler.cli.door import main

main()
