"""The README's picture: a real session in a real terminal, drawn as SVG.

``python -m tests.benchmarks.picture FILE.svg`` trains for about a minute.
"""

from __future__ import annotations

import os
import pty
import re
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.text import Text

COLUMNS = 92
SESSION = (
    "charrnn train tales --minutes 0.8",
    "charrnn sample --temp 0.6 --length 400 --prime 'Once, when the river was low,' --seed 7",
    "charrnn eval",
)

# As rich's own, without the web fonts: the picture fetches nothing.
_SVG = """<svg class="rich-terminal" viewBox="0 0 {width} {height}" \
xmlns="http://www.w3.org/2000/svg">
<style>
.{unique_id}-matrix {{ font-family: monospace; font-size: {char_height}px; \
line-height: {line_height}px; }}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal">
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}"/>
</clipPath>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" \
clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""


def run(command: str, folder: Path) -> str:
    """What a terminal shows when the command has ended."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": str(COLUMNS), "LINES": "40"}
    words = [sys.executable, "-m", *shlex.split(command)]
    with subprocess.Popen(
        words, cwd=folder, env=environment, stdin=theirs, stdout=theirs, stderr=theirs
    ) as process:
        os.close(theirs)
        seen = b""
        while True:
            try:
                data = os.read(ours, 65536)
            except OSError:
                break
            if not data:
                break
            seen += data
    os.close(ours)
    if process.returncode:
        raise SystemExit(f"{command} ended with {process.returncode}:\n{seen.decode()}")
    return settle(seen.decode())


def settle(written: str) -> str:
    """The lines as they stand in the end: what a carriage return overwrote is gone."""
    lines = re.sub(r"\x1b\[[A-GK]", "", written.replace("\r\n", "\n")).split("\n")
    return "\n".join(line.rstrip("\r").rpartition("\r")[2] for line in lines).rstrip()


def main(target: Path) -> None:
    """Run the session and draw it."""
    console = Console(record=True, width=COLUMNS, file=open(os.devnull, "w"))  # noqa: PTH123, SIM115
    with tempfile.TemporaryDirectory() as folder:
        for command in SESSION:
            console.print(Text.assemble(("$ ", "bold green"), (command, "bold")))
            console.print(Text.from_ansi(run(command, Path(folder))))
            console.print()
    target.write_text(console.export_svg(title="charrnn", code_format=_SVG), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
