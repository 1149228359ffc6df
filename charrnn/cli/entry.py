"""Entry point: installs the signal handlers before the slow imports begin."""

from __future__ import annotations

import gc
import os
import sys

from charrnn.cli import signals
from charrnn.cli.loading import explain_loading

_COLLECTIONS = (10_000, 50)
"""Thresholds of Python's garbage collector: with its own, collections take a tenth of a start."""


def main() -> None:
    """Run the program on the arguments of the command line, and exit."""
    gc.set_threshold(*_COLLECTIONS)
    # numpy's products are small. Its library would start a thread for each core when it is loaded,
    # and send this process a SIGINT if the system does not allow them.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
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
    except (ImportError, MemoryError) as problem:
        if (message := explain_loading(problem)) is None:
            raise
        sys.stderr.write(f"charrnn: {message}\n".replace(".\n", ".\n  ", 1))
        code = 1
    gc.freeze()  # The interpreter's last collections would visit every object of every library.
    sys.exit(code)
