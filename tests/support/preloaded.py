"""Modules that forked programs have from the beginning; imported once, before the first fork."""

import gc
import importlib
import pkgutil

import torch._dynamo  # noqa: F401
from typer.testing import CliRunner

import charrnn

for module in pkgutil.walk_packages(charrnn.__path__, "charrnn."):
    if not module.name.rpartition(".")[2].startswith("_"):
        importlib.import_module(module.name)

# Typer imports more when it parses arguments.
CliRunner().invoke(importlib.import_module("charrnn.cli.main").app, ["guide"])

# Memory of objects that no collection visits is shared with the forks and never copied.
gc.collect()
gc.freeze()
