"""Settings: declared once, with default, bounds and description, and checked on every way in.

A group of settings is a frozen dataclass of plain data: numbers, strings, tuples of strings, None.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import Field, dataclass, field, fields
from typing import Any, Self

from charrnn.errors import UsageError

_MOST_EXACT = 2**53


@dataclass(frozen=True)
class Plain:
    """Base of dataclasses that are saved in a JSON header and read back from untrusted files.

    Field types are written as ``int``, ``float | None``, ``tuple[str, ...]`` and the like.
    """

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain data, fit for JSON."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, data: object) -> Self:
        """Rebuild from the output of :meth:`to_dict`.

        Raises:
            ValueError: an entry is missing, unknown or of the wrong type.
        """
        declared = {field.name: field for field in dataclasses.fields(cls)}
        if not isinstance(data, dict) or set(data) != set(declared):
            raise ValueError(f"{cls.__name__} needs exactly: {', '.join(declared)}")
        values = {name: _as_tuple(value) for name, value in data.items()}
        for name, value in values.items():
            if not has_declared_type(declared[name], value):
                raise ValueError(f"{name} is {value!r:.60}; it must be {declared[name].type}")
        return cls(**values)


def has_declared_type(field: dataclasses.Field[Any], value: object) -> bool:
    """Tell if a value is of a type that a field is annotated with.

    An int passes for a float up to 2**53, beyond which floats do not count exactly.
    """
    allowed = str(field.type).split(" | ")
    if isinstance(value, tuple):
        return "tuple[str, ...]" in allowed and all(isinstance(item, str) for item in value)
    if value is None:
        return "None" in allowed
    if type(value) is int and "float" in allowed and abs(value) <= _MOST_EXACT:
        return True
    return type(value).__name__ in allowed


def _as_tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def setting(
    default: Any,
    description: str,
    *,
    least: float | None = None,
    most: float | None = None,
    choices: tuple[str, ...] = (),
    otherwise: str = "",
    automatic: bool = False,
) -> Any:
    """Declare a dataclass field with its default, bounds (inclusive) and description.

    Args:
        default: the value where none is given; None derives it from the fields declared before.
        description: a sentence for the user.
        least: smallest value.
        most: largest value.
        choices: all values, where they are words.
        otherwise: the derived value in words, where the default is None.
        automatic: whether ``training/auto_config.py`` chooses the value where the user does not;
            the default then serves configurations that are made without it.
    """
    metadata = {
        "description": description,
        "least": least,
        "most": most,
        "choices": choices,
        "otherwise": otherwise,
        "automatic": automatic,
    }
    return field(default=default, metadata=metadata)


@dataclass(frozen=True)
class Config(Plain):
    """Base of all configurations; checks every field against its declaration.

    Raises:
        UsageError: a value of the wrong type, outside its bounds or not among its choices. The
            message tells the setting, the value and what is allowed.
    """

    def __post_init__(self) -> None:
        for declared in fields(self):
            if getattr(self, declared.name) is None:
                object.__setattr__(self, declared.name, self._derive_default(declared.name))
            _check(declared, getattr(self, declared.name))

    @classmethod
    def pick(cls, values: Mapping[str, Any]) -> Self:
        """Make the configuration from those entries of ``values`` that are its fields.

        An automatic setting that is None takes its default.
        """
        automatic = {field.name: field.metadata["automatic"] for field in fields(cls)}
        return cls(
            **{
                name: value
                for name, value in values.items()
                if name in automatic and not (automatic[name] and value is None)
            }
        )

    @classmethod
    def from_dict(cls, data: Any) -> Self:
        """Rebuild from the output of :meth:`to_dict`, where every value is settled.

        Raises:
            UsageError: a value outside its bounds, or at odds with another.
            ValueError: an entry is missing, unknown or of the wrong type.
        """
        config = super().from_dict(data)
        for name, settled in config.to_dict().items():
            if data[name] is None and settled is not None:
                raise ValueError(f"{name} is None; it must be given")
        return config

    def _derive_default(self, name: str) -> Any:  # noqa: ARG002
        """Derive the value of a field that is None; the fields before it are checked by then."""
        return None


def list_defaults(defaults: Mapping[str, Any]) -> str:
    """List the defaults that a setting has for several cells or optimizers, for the user.

    >>> list_defaults({"lstm": 1.0, "gru": None, "rnn": 1.0})
    '1.0 for lstm, rnn; None for gru'
    """
    names_by_default: dict[str, list[str]] = {}
    for name, default in defaults.items():
        shown = "off" if default is False else str(default)
        names_by_default.setdefault(shown, []).append(name)
    return "; ".join(f"{shown} for {', '.join(names)}" for shown, names in names_by_default.items())


def _check(declared: Field[Any], value: Any) -> None:
    def refuse(shown: str, allowed: str) -> UsageError:
        return UsageError(f"is {shown:.60}; it must be {allowed}", settings=(declared.name,))

    if not has_declared_type(declared, value):
        raise refuse(repr(value), f"of type {declared.type}")
    if value is None:
        return
    choices = declared.metadata.get("choices", ())
    if choices and value not in choices:
        raise refuse(repr(value), f"one of {', '.join(choices)}")
    least, most = declared.metadata.get("least"), declared.metadata.get("most")
    too_small = least is not None and not value >= least
    too_large = most is not None and not value <= most
    if too_small or too_large:
        span = f"from {least} to {most}"
        if most is None or least is None:
            span = f"at least {least}" if most is None else f"at most {most}"
        raise refuse(f"{value:,}", span)
