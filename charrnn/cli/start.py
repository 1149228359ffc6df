"""Where the program begins: with signals in hand before anything that takes long is imported."""

from __future__ import annotations

import sys

from charrnn.cli import interrupts


def main() -> None:
    """Run the program on the command line's arguments, and exit."""
    try:
        interrupts.install()
        from charrnn.cli.main import run

        code = run()
    except interrupts.Interrupted as signal:
        code = signal.exit_code
    interrupts.uninstall()
    sys.exit(code)
