"""Entry point: installs the signal handlers before the slow imports begin."""

from __future__ import annotations

import sys

from charrnn.cli import signals


def main() -> None:
    """Run the program on the arguments of the command line, and exit."""
    try:
        try:
            signals.install()
            from charrnn.cli.main import run

            code = run()
        finally:
            # A signal that still comes before this raises inside the outer block.
            signals.uninstall()
    except signals.Interrupted as signal:
        code = signal.exit_code
    sys.exit(code)
