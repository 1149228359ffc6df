"""charrnn doctor: show the hardware and libraries in use, and check their results."""

from __future__ import annotations

import os
import platform
import re
import shutil
from pathlib import Path
from typing import Any

from charrnn import __version__
from charrnn.cli import terminal
from charrnn.cli.help_pages import explained
from charrnn.cli.loading import explain_loading
from charrnn.cli.options import Debug, Json
from charrnn.config.cells import CELLS
from charrnn.config.limits import measure_available_bytes, measure_memory_bytes
from charrnn.config.model import ModelConfig
from charrnn.config.processors import (
    THREADS,
    count_processors,
    count_usual_threads,
    measure_quota,
    read_wanted_threads,
)
from charrnn.errors import CharrnnError
from charrnn.folders import check_current_folder
from charrnn.kernels.library import BUILDS, CHOICE, NONE, Kernels, find_obstacle, load_kernels

_CPUINFO = Path("/proc/cpuinfo")

_WITHOUT_TORCH: dict[str, Any] = {
    "torch": None,
    "cuda": False,
    "mps": False,
    "threads": None,
    "threads_missing": None,
    "wrong_products": [],
    "device": None,
    "precision": {},
    "openmp": None,
    "keeps_freed_memory": None,
    "differences": {},
    "agrees": None,
}
"""The findings where torch is not installed."""


@explained(
    """Show the hardware and libraries in use, and check that their results are correct.

    charrnn doctor
    CHARRNN_KERNELS=none charrnn doctor --json
    """
)
def doctor(as_json: Json = False, debug: Debug = False) -> None:
    """Run ``charrnn doctor``."""
    kernels = load_kernels()
    findings = {
        "charrnn": __version__,
        "python": f"{platform.python_version()}, {platform.system()} {platform.machine()}",
        "processor": find_processor(),
        "cores": count_processors(),
        "machine_cores": os.cpu_count(),
        "processor_quota": measure_quota(),
        "wanted_threads": read_wanted_threads(),
        "usual_threads": count_usual_threads(),
        "memory_bytes": measure_memory_bytes(),
        "memory_available_bytes": measure_available_bytes(),
        "disk_free_bytes": measure_free_disk_bytes(Path()),
        "build": kernels.build if kernels else None,
        "builds": {build: _describe_build(build, kernels) for build in BUILDS},
        "chosen_build": os.environ.get(CHOICE) or None,
        **_examine_torch(kernels),
    }
    if as_json:
        terminal.print_json(findings)
    else:
        terminal.print_facts(_describe(findings))
    if wrong := findings["wrong_products"]:
        raise CharrnnError(
            f"torch's own matrix products in {' and '.join(wrong)} are wrong here, whatever the "
            f"native library computes{_suspect_environment()}.\n"
            "Install another version of torch"
            + (
                ", or train in fp32: charrnn train TEXT --precision fp32"
                if wrong == ["bf16"]
                else ""
            )
        )
    if findings["agrees"] is False:
        raise CharrnnError(
            "the results of the native library differ from those of torch.\n"
            f"Set {CHOICE}={NONE} to use torch alone, or name another build there; and please "
            "report the output above."
        )


def _suspect_environment() -> str:
    """Name the variables of the environment that may be the cause of wrong products."""
    from charrnn.models.threads import list_openmp_limits

    limits = list_openmp_limits()
    return f"; {' and '.join(limits)} may be the cause" if limits else ""


def _examine_torch(kernels: Kernels | None) -> dict[str, Any]:
    """Collect the findings that need torch, and compare the native library with it."""
    check_current_folder()
    try:
        import torch
    except ModuleNotFoundError:
        return _WITHOUT_TORCH
    except (ImportError, OSError) as problem:
        raise CharrnnError(
            explain_loading(problem) or f"torch cannot be imported: {problem}. Install it again."
        ) from None
    from charrnn.kernels.torch_calls import find_openmp
    from charrnn.models.device import (
        choose_device,
        choose_precision,
        keep_freed_memory,
        multiplies_correctly,
        prepare_process,
    )
    from charrnn.models.selftest import MOST_DIFFERENCE, measure_differences
    from charrnn.models.threads import explain_threads

    threads = prepare_process(None)
    device = choose_device("auto")
    shared = find_openmp() if kernels else None
    differences = {p: measure_differences(p) for p in MOST_DIFFERENCE} if kernels else {}
    return {
        "torch": torch.__version__,
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "threads": threads,
        "threads_missing": explain_threads() or None,
        "wrong_products": [
            name
            for name, kind in (("fp32", torch.float32), ("bf16", torch.bfloat16))
            if not multiplies_correctly(kind)
        ],
        "device": device.type,
        "precision": {
            cell: choose_precision("auto", device, ModelConfig(cell=cell))
            for cell, spec in CELLS.items()
            if spec.native_form
        },
        "openmp": str(shared.path) if shared else None,
        "keeps_freed_memory": keep_freed_memory(),
        "differences": differences,
        # NaN fails this comparison, as it should.
        "agrees": all(
            off <= MOST_DIFFERENCE[precision]
            for precision, found in differences.items()
            for off in found.values()
        )
        if kernels
        else None,
    }


def _describe(findings: dict[str, Any]) -> dict[str, str]:
    """Describe the findings for people."""
    accelerators = [name.upper() for name in ("cuda", "mps") if findings[name]]
    torch = f"{findings['torch']}, with {' and '.join(accelerators) or 'no accelerator'}"
    facts = {
        "charrnn": findings["charrnn"],
        "Python": findings["python"],
        "torch": torch if findings["torch"] else _describe_missing_torch(findings),
        "processor": findings["processor"],
        "cores": _describe_cores(findings),
        "memory": f"{_format_gigabytes(findings['memory_available_bytes'])} available of "
        f"{_format_gigabytes(findings['memory_bytes'])}",
        "disk": f"{_format_gigabytes(findings['disk_free_bytes'])} free in this folder",
        ", ".join(_list_native_cells()): _describe_backend(findings),
        **{f"  {build}": standing for build, standing in findings["builds"].items()},
    }
    if findings["chosen_build"]:
        facts[CHOICE] = findings["chosen_build"]
    if not findings["torch"]:
        return facts
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


def _describe_cores(findings: dict[str, Any]) -> str:
    """Describe the processors, what bounds the number of threads, and that number."""
    cores, machine = findings["cores"], findings["machine_cores"]
    line = f"{cores} for this process"
    if machine and machine > cores:
        line += f", of {machine} in the machine"
    if findings["processor_quota"] is not None:
        line += f", with a quota of {findings['processor_quota']:g}"
    if findings["wanted_threads"] is not None:
        line += f"; {THREADS} is {findings['wanted_threads']}"
    threads = findings["threads"] or findings["usual_threads"]
    line += f"; {threads} thread{'' if threads == 1 else 's'} in use"
    missing = findings["threads_missing"]
    return f"{line}: {missing}" if missing else line


def _describe_missing_torch(findings: dict[str, Any]) -> str:
    """Describe the commands that work without torch, and the way to get it."""
    works = "verify, corpus, compare and inspect summary work"
    if findings["build"]:
        works = (
            "sample, play, eval, score, verify, corpus, compare and inspect (but for gates and "
            "gradients) work"
        )
    return f"not installed: {works}; train takes it (pip install torch)"


def _list_native_cells() -> list[str]:
    return [cell for cell, spec in CELLS.items() if spec.native_form]


def _format_gigabytes(count: int | None) -> str:
    return "unknown" if count is None else f"{count / 1e9:.1f} GB"


def _describe_backend(findings: dict[str, Any]) -> str:
    if findings["build"]:
        return f"through the native library, {findings['build']}"
    if findings["chosen_build"] == NONE:
        return f"through torch, as {CHOICE} asks for"
    if not findings["torch"]:
        return "not at all: no build of the native library can be used, and torch is missing"
    return "through torch, slower: no build of the native library can be used"


def _describe_build(build: str, kernels: Kernels | None) -> str:
    """Tell that a build is in use, or the reason that it is not."""
    if kernels and kernels.build == build:
        return "in use"
    return find_obstacle(build) or "could be used"


def find_processor() -> str:
    """Find the name of the processor."""
    named = re.search(r"^model name\s*: *(.+)$", _read(_CPUINFO), re.MULTILINE)
    return named[1] if named else platform.processor() or platform.machine()


def measure_free_disk_bytes(folder: Path) -> int | None:
    """Measure the free space of the disk that holds a folder; None if the folder is missing."""
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        return None


def _read(file: Path) -> str:
    try:
        return file.read_text(errors="replace")
    except OSError:
        return ""
