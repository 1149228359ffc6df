"""Completion of the command line in bash, zsh and fish.

A shell asks through variables: _CHARRNN_COMPLETE holds ``complete_`` and its name, _CHARRNN_LINE
the command up to the cursor. bash is answered with words as its command line spells them, one in
each line; zsh and fish quote words by themselves and receive them as they are, a NUL after each.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from typer._click.shell_completion import ShellComplete, split_arg_string

from charrnn.cli import terminal
from charrnn.errors import CharrnnError, Remedy, UsageError
from charrnn.files import append_line, make_folder, write_atomically
from charrnn.folders import find_home

_ASKED, _LINE = "_CHARRNN_COMPLETE", "_CHARRNN_LINE"
_REPLACED = "_CHARRNN_REPLACED"
"""The part that bash replaces: the end of a word that a colon or an equals sign parts."""

PROCESSES = Path("/proc")
"""The folder in which Linux shows the processes."""

SCRIPTS = {
    "bash": """\
_charrnn_completion() {
    local word
    COMPREPLY=()
    while IFS= read -r word; do
        COMPREPLY+=("$word")
    done < <(env _CHARRNN_COMPLETE=complete_bash _CHARRNN_REPLACED="$2" \\
                 _CHARRNN_LINE="${COMP_LINE:0:COMP_POINT}" "$1")
}
complete -o default -F _charrnn_completion charrnn
""",
    "zsh": """\
#compdef charrnn
_charrnn_completion() {
    local -a found
    found=("${(@0)"$(env _CHARRNN_COMPLETE=complete_zsh \\
                         _CHARRNN_LINE="${(j: :)words[1,CURRENT]}" "${words[1]}")"}")
    found=("${(@)found:#}")
    if (( $#found )); then
        compadd -- "${found[@]}"
    else
        _files
    fi
}
if [[ "$funcstack[1]" == _charrnn ]]; then
    _charrnn_completion "$@"
else
    compdef _charrnn_completion charrnn
fi
""",
    "fish": """\
function __charrnn_completion
    set -l line (commandline -cp | string collect)
    set -l found (env _CHARRNN_COMPLETE=complete_fish _CHARRNN_LINE=$line charrnn | string split0)
    if set -q found[1]
        string join0 -- $found
    else
        __fish_complete_path (commandline -ct) | string join0
    end
end
complete --command charrnn --no-files --arguments '(__charrnn_completion | string split0)'
""",
}
"""The scripts that make each shell ask."""


def is_asked() -> bool:
    """Return whether this process was started by a shell that completes a command."""
    return _ASKED in os.environ


def answer(program: Any) -> None:
    """Answer a shell on stdout; without an answer it completes the names of files.

    Args:
        program: the command of the whole program.
    """
    instruction, _, shell = os.environ[_ASKED].partition("_")
    if shell not in SCRIPTS or instruction not in ("complete", "source"):
        raise _refuse(shell)
    if instruction == "source":
        terminal.write_exactly(SCRIPTS[shell].encode())
        return
    line = os.environ.get(_LINE) or _join_older()
    words = find_words(program, line)
    if shell == "bash":
        replaced = os.environ.get(_REPLACED)
        shown = [f"{word}\n" for word in spell_for_bash(words, line, replaced)]
    else:
        shown = [f"{word}\0" for word in words]
    terminal.write_exactly(os.fsencode("".join(shown)))


def _join_older() -> str:
    """Return the line from the variables that older scripts set: words up to the present one."""
    words = split_arg_string(os.environ.get("COMP_WORDS", ""))
    last = int(os.environ.get("COMP_CWORD", len(words)))
    return " ".join([shlex.join(words[:last]), shlex.join(words[last : last + 1])])


def find_words(program: Any, line: str) -> list[str]:
    """Find the words that may stand at the end of a line, each whole.

    Args:
        program: the command of the whole program.
        line: the command up to the cursor, as a shell reads it.
    """
    *before, last = _split(line)
    head = _find_head(last)
    try:
        found = _Completion(program, {}, "charrnn", _ASKED).get_completions(before[1:], last)
    except (CharrnnError, OSError):
        return []
    return [head + item.value for item in found]


class _Completion(ShellComplete):
    """The candidates at a place of the command line; no shell's own form of them."""

    name, source_template = "", ""

    def source_vars(self) -> dict[str, Any]:
        return {}

    def get_completion_args(self) -> tuple[list[str], str]:
        return [], ""

    def format_completion(self, item: Any) -> str:
        return str(item.value)


def _split(line: str) -> list[str]:
    """Split a line into words, of which the last may be incomplete, also within quotes."""
    end = "x"  # With it the last word is never empty, and no blank at the end is lost.
    *words, last = split_arg_string(line + end)
    return [*words, last.removesuffix(end)]


def _find_head(word: str) -> str:
    """Find the part of a word before the value of an option, as in ``--cell=``."""
    name, equals, _ = word.partition("=")
    return name + equals if word.startswith("-") and equals else ""


def spell_for_bash(words: list[str], line: str, replaced: str | None = None) -> list[str]:
    r"""Spell words as bash takes each for one, in place of what it replaces.

    Args:
        words: whole words.
        line: the command up to the cursor.
        replaced: the end of the line that is replaced; None is its last word.

    >>> spell_for_bash(["my run", "it's"], "charrnn sample ")
    ['my\\ run', "it\\'s"]
    >>> spell_for_bash(["my run"], 'charrnn sample "my')
    ['"my run']
    >>> spell_for_bash(["a:b"], "charrnn sample a:", "")
    ['b']
    """
    quote = _find_open_quote(line)
    kept = 0
    if replaced is not None:
        kept = len(_split(line)[-1]) - len(_split(quote + replaced)[-1])
    parts = [word[max(kept, 0) :] for word in words]
    if not quote:
        return [_escape(part) for part in parts]
    special = "'" if quote == "'" else r'["$`\\]'
    escaped = r"'\\''" if quote == "'" else r"\\\g<0>"
    # bash closes the quote by itself.
    return [quote + re.sub(special, escaped, part) for part in parts if part.isprintable()]


def _escape(word: str) -> str:
    if word.isprintable():
        return re.sub(r"[^\w@%+=:,./-]", r"\\\g<0>", word, flags=re.ASCII)
    # ANSI-C quoting: what is not printable, and the bytes of a name that are no UTF-8.
    return f"$'{''.join(map(_escape_byte, os.fsencode(word)))}'"


def _escape_byte(byte: int) -> str:
    plain = 0x20 <= byte < 0x7F and chr(byte) not in "'\\"
    return chr(byte) if plain else f"\\x{byte:02x}"


def _find_open_quote(line: str) -> str:
    """Find the quote that is open at the end of a line; empty if none is."""
    quote, is_escaped = "", False
    for character in line:
        if is_escaped:
            is_escaped = False
        elif character == "\\" and quote != "'":
            is_escaped = True
        elif quote:
            quote = "" if character == quote else quote
        elif character in "'\"":
            quote = character
    return quote


def show() -> None:
    """Write the script of the shell that the program was called from to stdout."""
    terminal.write_exactly(SCRIPTS[_detect_shell()].encode())


def install() -> None:
    """Install the script of the shell that the program was called from, in the user's home.

    Raises:
        StorageError: there is no home, or a file cannot be written.
        UsageError: there is no script for that shell.
    """
    shell = _detect_shell()
    home = find_home()
    settings = Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config")
    place, started_by, line = {
        "bash": (home / ".bash_completions/charrnn.sh", home / ".bashrc", "source {}"),
        "zsh": (
            home / ".zfunc/_charrnn",
            Path(os.environ.get("ZDOTDIR") or home) / ".zshrc",
            "fpath+=({}); autoload -Uz compinit; compinit",
        ),
        "fish": (settings / "fish/completions/charrnn.fish", None, ""),
    }[shell]
    make_folder(place.parent)
    write_atomically(place, SCRIPTS[shell].encode())
    if started_by is not None:
        named = place.parent if shell == "zsh" else place
        wanted = line.format(shlex.quote(str(named)))
        present = _read(started_by)
        if wanted not in present.splitlines():
            # The last line of a file that a person writes may lack its end.
            begin = "" if present.endswith("\n") or not present else "\n"
            append_line(started_by, begin + wanted)
    terminal.say(f"{shell} completes charrnn from its next start, with {place}")


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _detect_shell() -> str:
    """Find the shell that the program was called from, or the user's own.

    Raises:
        UsageError: it has no script here.
    """
    login = Path(os.environ.get("SHELL", "")).name
    shell = next((name for name in _name_ancestors() if name in SCRIPTS), login)
    if shell not in SCRIPTS:
        raise _refuse(shell)
    return shell


def _name_ancestors() -> Iterator[str]:
    """Name the processes that this one descends from, as far as the system shows them."""
    process = os.getppid()
    while process > 1:
        try:
            facts = (PROCESSES / str(process) / "stat").read_text(errors="replace")
        except OSError:
            return
        # The name stands in parentheses and may hold some itself; the parent is the second after.
        before, _, after = facts.rpartition(")")
        yield before.partition("(")[2].removeprefix("-")
        process = int(after.split()[1])


def _refuse(shell: str) -> UsageError:
    return UsageError(
        f"{shell or 'this shell':.40}: completion is for {', '.join(SCRIPTS)}",
        Remedy("call charrnn from one of them"),
    )
