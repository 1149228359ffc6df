"""The schema of JSON output as its guide writes it down, and objects checked against it."""

import re
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any, NamedTuple

from charrnn.config.inference import ReadConfig, SampleConfig, UseConfig
from charrnn.config.model import ModelConfig
from charrnn.config.training import ComputeConfig, TrainConfig

GUIDE = Path(__file__).parents[2] / "charrnn/guides/json.md"

_CONFIGS = (ModelConfig, TrainConfig, ComputeConfig, SampleConfig, ReadConfig, UseConfig)
SETTINGS = {field.name for config in _CONFIGS for field in fields(config)} | {
    *("unique", "novel", "stack_round", "corpus", "encoding", "records", "base", "text_sha256")
}
"""The names of settings: those of configurations, and arguments of functions."""

_PLAIN = {"string": str, "integer": int, "boolean": bool}


class Keys(NamedTuple):
    """The keys of an object: those that it always has, and others."""

    always: frozenset[str]
    sometimes: frozenset[str]


class Schema:
    """The tables of the guide.

    Attributes:
        commands: the keys of the objects that a command prints, by the command.
        objects: the keys of objects within them, by the key that holds them.
        types: the type of each key.
    """

    def __init__(self, text: str) -> None:
        parts = re.split(r"^## (.+)$", text, flags=re.MULTILINE)
        tables = dict(zip(parts[1::2], map(_read_table, parts[2::2]), strict=True))
        self.commands = dict(_list_keys(tables["Commands"]))
        self.objects = dict(_list_keys(tables["Objects"]))
        self.types = {row[0].strip("`"): row[1] for row in tables["Names"]}
        self.rows = len(tables["Names"])

    def check(self, command: str, printed: dict[str, Any]) -> set[str]:
        """Check an object that a command prints, and return its keys at all depths."""
        return set(self._check(self.commands[command], printed, command))

    def _check(self, keys: Keys, printed: dict[str, Any], where: str) -> Iterator[str]:
        assert set(printed) >= keys.always, (where, keys.always - set(printed))
        unknown = set(printed) - keys.always - keys.sometimes
        assert not unknown, (where, unknown)
        for name, value in printed.items():
            yield name
            yield from self._check_value(name, self.types[name], value, f"{where}: {name}")

    def _check_value(self, name: str, kind: str, value: Any, where: str) -> Iterator[str]:
        optional = kind.endswith(" or null")
        kind = kind.removesuffix(" or null")
        if value is None:
            assert optional, where
        elif kind == "object":
            yield from self._check(self.objects[name], value, where)
        elif kind.startswith("map of "):
            inner = kind.removeprefix("map of ").removeprefix("maps of ")
            assert isinstance(value, dict), where
            for item in value.values():
                depth = item.values() if kind.startswith("map of maps") else [item]
                for one in depth:
                    yield from (
                        self._check_value(name, inner.removesuffix("s"), one, where)
                        if (not isinstance(one, list))
                        else self._check_value(name, inner, one, where)
                    )
        elif kind == "settings":
            assert set(value) <= SETTINGS, (where, set(value) - SETTINGS)
        elif kind.endswith("s"):
            assert isinstance(value, list), where
            for item in value:
                missing = item is None and kind == "numbers"
                yield from () if missing else self._check_value(name, kind[:-1], item, where)
        elif kind == "number":
            assert type(value) in (int, float), where
        else:
            assert type(value) is _PLAIN[kind], where


def _read_table(text: str) -> list[list[str]]:
    """Read the rows of the table in a section, without its head."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def _list_keys(rows: list[list[str]]) -> Iterator[tuple[str, Keys]]:
    for names, always, sometimes in rows:
        keys = Keys(*(frozenset(re.findall(r"`(\w+)`", cell)) for cell in (always, sometimes)))
        for name in re.findall(r"`([^`]+)`", names):
            yield name, keys


SCHEMA = Schema(GUIDE.read_text(encoding="utf-8"))
