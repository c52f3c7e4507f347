"""`python -m chueok` is the `chueok` command."""

from __future__ import annotations

import signal


def main() -> None:
    """The `chueok` command. Until it can explain itself, Ctrl-C ends it without a word, as it ends other programs."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    from chueok.cli import main as run

    run()


if __name__ == "__main__":
    main()
