"""`python -m workbench`: the command line without its console script."""

from workbench.cli import main

main()
