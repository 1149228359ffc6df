"""How a setting is declared and checked: its default, bounds and description, stated once.

Flat tables of plain data (numbers, texts, tuples of texts, nothing) as frozen dataclasses.
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
    """Base of tables that go into a JSON header and come back from one that nobody vouches for.

    Field types are written as ``int``, ``float | None``, ``tuple[str, ...]`` and the like.
    """

    def to_dict(self) -> dict[str, Any]:
        """The fields as plain data, fit for JSON."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, data: object) -> Self:
        """Rebuild from :meth:`to_dict`'s output.

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
    """Whether a value is of a type that a field is annotated with.

    An int passes as a float if it is one: no larger than what floats count exactly.
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
    by_recipe: bool = False,
) -> Any:
    """Declare a dataclass field with its default, bounds (inclusive) and description.

    Args:
        default: None leaves the value to what the fields declared before call for.
        description: a sentence for the user.
        least: smallest value.
        most: largest value.
        choices: all values, where they are words.
        otherwise: what None comes to, for the user.
        by_recipe: whether ``auto_config.py`` chooses it where the user does not; the default is for
            those who do without a recipe.
    """
    metadata = {
        "description": description,
        "least": least,
        "most": most,
        "choices": choices,
        "otherwise": otherwise,
        "by_recipe": by_recipe,
    }
    return field(default=default, metadata=metadata)


@dataclass(frozen=True)
class Config(Plain):
    """Base of all configurations: checks every field against its declaration.

    Raises:
        UsageError: a value of the wrong type, outside its bounds or not among its choices. The
            message tells the setting, the value and what is allowed.
    """

    def __post_init__(self) -> None:
        for declared in fields(self):
            if getattr(self, declared.name) is None:
                object.__setattr__(self, declared.name, self._left_open(declared.name))
            _check(declared, getattr(self, declared.name))

    @classmethod
    def pick(cls, values: Mapping[str, Any]) -> Self:
        """The configuration with the fields that ``values`` names, among whatever else it holds.

        What the recipe was to choose and did not is left at its default.
        """
        by_recipe = {field.name: field.metadata["by_recipe"] for field in fields(cls)}
        return cls(
            **{
                name: value
                for name, value in values.items()
                if name in by_recipe and not (by_recipe[name] and value is None)
            }
        )

    @classmethod
    def from_dict(cls, data: Any) -> Self:
        """Rebuild from :meth:`to_dict`'s output, in which nothing is left open any more.

        Raises:
            UsageError: a value outside its bounds, or at odds with another.
            ValueError: an entry is missing, unknown or of the wrong type.
        """
        config = super().from_dict(data)
        for name, settled in config.to_dict().items():
            if data[name] is None and settled is not None:
                raise ValueError(f"{name} is None; it must be settled")
        return config

    def _left_open(self, name: str) -> Any:  # noqa: ARG002
        """What a field that is None comes to; the fields declared before it are checked by then."""
        return None


def list_defaults(defaults: Mapping[str, Any]) -> str:
    """What each of several things takes where nothing is said, for the user."""
    takers_of: dict[str, list[str]] = {}
    for name, default in defaults.items():
        shown = "off" if default is False else str(default)
        takers_of.setdefault(shown, []).append(name)
    return "; ".join(f"{shown} for {', '.join(names)}" for shown, names in takers_of.items())


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
