"""`python -m chueok` is the `chueok` command."""

from chueok.cli import main

main()
