"""Where the program begins: with signals in hand before anything that takes long is imported."""

from __future__ import annotations

import sys

from charrnn.cli import signals


def main() -> None:
    """Run the program on the command line's arguments, and exit."""
    try:
        signals.install()
        from charrnn.cli.main import run

        code = run()
    except signals.Interrupted as signal:
        code = signal.exit_code
    signals.uninstall()
    sys.exit(code)
