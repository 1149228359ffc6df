"""Settings of a conversation, each with a command that changes it: ``/temp 0.7``."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

from charrnn.cli.messages import option_name
from charrnn.config.inference import UNKNOWN_CHOICES, ReadConfig, SampleConfig
from charrnn.config.settings import setting
from charrnn.errors import UsageError

_KINDS = {"int": (int, "a whole number"), "float": (float, "a number"), "str": (str, "a word")}


@dataclass(frozen=True)
class PlaySettings(SampleConfig):
    """Settings of sampling, and the treatment of characters that the model does not know."""

    seed: int = setting(0, "Seed of the continuations, which are counted from 0 again.", least=0)
    unknown: str = setting(ReadConfig.unknown, "Unknown characters.", choices=UNKNOWN_CHOICES)

    def change(self, name: str, value: str) -> PlaySettings:
        """Return the settings with another value for one of them.

        Args:
            name: a key of SETTINGS.
            value: the value as it was typed.

        Raises:
            UsageError: the setting does not allow the value.
        """
        field = SETTINGS[name]
        kind, described = _KINDS[str(field.type)]
        try:
            return replace(self, **{field.name: kind(value)})
        except ValueError:
            raise UsageError(
                f"is {value!r:.60}; it must be {described}", settings=(field.name,)
            ) from None

    def format_command(self, name: str) -> str:
        """Format a setting as the command that sets its present value."""
        return f"/{name} {getattr(self, SETTINGS[name].name)}"


def command_name(setting: str) -> str:
    """Name the command that changes a setting during a conversation."""
    return "/" + option_name(setting).removeprefix("--")


SETTINGS = {
    command_name(field.name).removeprefix("/"): field
    for field in fields(PlaySettings)
    if field.name not in ("count", "stop")
}
"""The fields of the settings, by the names of their commands without the slash."""

COMMANDS = frozenset(f"/{name}" for name in SETTINGS)
"""The commands that change a setting."""
