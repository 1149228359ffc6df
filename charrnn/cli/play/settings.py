"""What can be changed while a conversation goes on, one word each: ``/temp 0.7``."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

from charrnn.config.inference import UNKNOWN_CHOICES, SampleConfig
from charrnn.config.settings import setting
from charrnn.errors import UsageError

_KINDS = {"int": (int, "a whole number"), "float": (float, "a number"), "str": (str, "a word")}


@dataclass(frozen=True)
class Dials(SampleConfig):
    """How the text goes on, and what becomes of characters that the model does not know."""

    seed: int = setting(0, "Number the draws anew: the same seed, the same texts.", least=0)
    unknown: str = setting(
        "error", "What to do with a character the model does not know.", choices=UNKNOWN_CHOICES
    )

    def turned(self, name: str, value: str) -> Dials:
        """The dials with one of them, named as in DIALS, at another value.

        Raises:
            UsageError: not a value of it.
        """
        field = DIALS[name]
        kind, described = _KINDS[str(field.type)]
        try:
            return replace(self, **{field.name: kind(value)})
        except ValueError:
            raise UsageError(
                f"is {value!r:.60}; it must be {described}", settings=(field.name,)
            ) from None

    def at(self, name: str) -> str:
        """A dial and its value as the command that sets it."""
        return f"/{name} {getattr(self, DIALS[name].name)}"


def command_name(setting: str) -> str:
    """The command that changes a setting while a conversation goes on."""
    return "/" + setting.replace("_", "-")


DIALS = {
    command_name(field.name).removeprefix("/"): field
    for field in fields(Dials)
    if field.name not in ("count", "stop")
}
"""The dials by the names of their commands."""
