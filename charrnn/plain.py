"""Flat tables of plain data (numbers, texts, tuples of texts, nothing) as frozen dataclasses."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Self

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
