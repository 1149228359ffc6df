"""charrnn doctor: what computes here, and why."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any

from charrnn import __version__
from charrnn.cli import machine, terminal
from charrnn.cli.options import Debug, Json
from charrnn.config.cells import CELLS
from charrnn.config.model import ModelConfig
from charrnn.errors import CharrnnError
from charrnn.kernels.library import BUILDS, CHOICE, NONE, Kernels, find_obstacle, load_kernels


def doctor(as_json: Json = False, debug: Debug = False) -> None:
    """Show what computes on this machine, and test that it computes correctly.

    charrnn doctor
    CHARRNN_KERNELS=none charrnn doctor --json
    """
    from charrnn.kernels.network import all_threads

    kernels = load_kernels()
    findings = {
        "charrnn": __version__,
        "python": f"{platform.python_version()}, {platform.system()} {platform.machine()}",
        "processor": machine.processor(),
        "cores": all_threads(),
        "memory_bytes": machine.memory_bytes(),
        "memory_available_bytes": machine.memory_available_bytes(),
        "disk_free_bytes": machine.disk_free_bytes(Path.cwd()),
        "build": kernels.build if kernels else None,
        "builds": {build: _standing(build, kernels) for build in BUILDS},
        "chosen": os.environ.get(CHOICE) or None,
        **_ask_torch(kernels),
    }
    if as_json:
        terminal.print_json(findings)
    else:
        terminal.print_facts(_describe(findings))
    if findings["agrees"] is False:
        raise CharrnnError(
            f"the native library does not compute what torch does. Set {CHOICE}={NONE} to do "
            "without it, or name another build there; and please report what is printed above."
        )


def _ask_torch(kernels: Kernels | None) -> dict[str, Any]:
    """What torch and the parts that use it say."""
    try:
        import torch
    except (ImportError, OSError) as problem:
        raise CharrnnError(f"torch cannot be imported: {problem}. Install charrnn anew.") from None
    from charrnn.kernels.torch_calls import find_openmp
    from charrnn.models.device import (
        choose_device,
        choose_precision,
        keep_freed_memory,
        prepare_process,
    )
    from charrnn.models.selftest import MOST_DIFFERENCE, measure_differences

    threads = prepare_process(None)
    device = choose_device("auto")
    shared = find_openmp() if kernels else None
    differences = {p: measure_differences(p) for p in MOST_DIFFERENCE} if kernels else {}
    return {
        "torch": torch.__version__,
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "threads": threads,
        "device": device.type,
        "precision": {
            cell: choose_precision("auto", device, ModelConfig(cell=cell))
            for cell, spec in CELLS.items()
            if spec.native_form
        },
        "openmp": str(shared.path) if shared else None,
        "keeps_freed_memory": keep_freed_memory(),
        "differences": differences,
        # A difference that is not a number is beyond any bound.
        "agrees": all(
            off <= MOST_DIFFERENCE[precision]
            for precision, found in differences.items()
            for off in found.values()
        )
        if kernels
        else None,
    }


def _describe(findings: dict[str, Any]) -> dict[str, str]:
    """The findings for people."""
    accelerators = [name.upper() for name in ("cuda", "mps") if findings[name]]
    facts = {
        "charrnn": findings["charrnn"],
        "Python": findings["python"],
        "torch": f"{findings['torch']}, with {' and '.join(accelerators) or 'no accelerator'}",
        "processor": findings["processor"],
        "cores": f"{findings['cores']} for this process; {findings['threads']} threads in use",
        "memory": f"{_gigabytes(findings['memory_available_bytes'])} available of "
        f"{_gigabytes(findings['memory_bytes'])}",
        "disk": f"{_gigabytes(findings['disk_free_bytes'])} free in this folder",
        " and ".join(_trained_natively()): _explain_path(findings),
        **{f"  {build}": standing for build, standing in findings["builds"].items()},
    }
    if findings["chosen"]:
        facts[CHOICE] = findings["chosen"]
    facts["trains in"] = ", ".join(f"{cell} {kind}" for cell, kind in findings["precision"].items())
    facts["trains on"] = findings["device"]
    if findings["build"]:
        openmp = findings["openmp"]
        facts["threads"] = f"those of torch, {openmp}" if openmp else "its own, beside torch's"
    kept = "kept for the next window" if findings["keeps_freed_memory"] else "handed back"
    facts["freed memory"] = kept
    if findings["build"]:
        verdict = "agrees" if findings["agrees"] else "does NOT agree"
        facts["self-test"] = f"{verdict} with torch: " + ", ".join(
            f"{cell} {precision} to {off:.0e}"
            for precision, found in findings["differences"].items()
            for cell, off in found.items()
        )
    return facts


def _trained_natively() -> list[str]:
    return [cell for cell, spec in CELLS.items() if spec.native_training]


def _gigabytes(count: int | None) -> str:
    return "unknown" if count is None else f"{count / 1e9:.1f} GB"


def _explain_path(findings: dict[str, Any]) -> str:
    if findings["build"]:
        return f"through the native library, {findings['build']}"
    if findings["chosen"] == NONE:
        return f"through torch, as {CHOICE} asks for"
    return "through torch, slower: no build of the native library can be used"


def _standing(build: str, kernels: Kernels | None) -> str:
    """Whether a build is in use, or why it is not."""
    if kernels and kernels.build == build:
        return "in use"
    return find_obstacle(build) or "could be used"
