"""The native library: the build that suits this processor, and its functions. No torch here.

The sources in ``native/`` are compiled once for each kind of processor when the package is
installed; the build to load is chosen here, by the instructions of the processor at hand.
"""

from __future__ import annotations

import ctypes
import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from charrnn.errors import UsageError

FOLDER = Path(__file__).parent

BASELINE = "baseline"
"""The build that every processor of this kind can run."""

BUILDS = ("avx512bf16", "avx512", "avx2", BASELINE)
"""All builds, the fastest first; processors other than x86 have the last one alone."""

INTERFACE = 9
"""The version of the interface, which ``charrnn_interface`` of a build must return."""

CHOICE = "CHARRNN_KERNELS"
"""The environment variable that names the build to use, or NONE."""

NONE = "none"

_CODES = {
    "i": ctypes.c_int,
    "l": ctypes.c_int64,
    "f": ctypes.c_float,
    "d": ctypes.c_double,
    "p": ctypes.c_void_p,
}
_SIGNATURES = {
    "charrnn_use_openmp": "ppp",
    "charrnn_lstm_forward": "iiiiiipppppp",
    "charrnn_lstm_backward": "iiiiiippppppp",
    "charrnn_gru_after_forward": "iiiiippppppp",
    "charrnn_gru_after_backward": "iiiiippppppp",
    "charrnn_gru_before_forward": "iiiiippppppp",
    "charrnn_gru_before_backward": "iiiiipppppp",
    "charrnn_add_to_rows": "iiiilppp",
    "charrnn_norm_forward": "iiiiilpppppp",
    "charrnn_norm_backward": "iiiiilpppppppp",
    "charrnn_cross_entropy": "iiiifpppp",
    "charrnn_network_new": "iiiiiippppppppp",
    "charrnn_network_free": "p",
    "charrnn_expert_new": "iipppppp",
    "charrnn_expert_free": "p",
    "charrnn_network_read": "ppiiipppp",
    "charrnn_network_score": "ppiiippppp",
    "charrnn_network_draw": "ppiiididdppppp",
    "charrnn_training_new": "iiiiiiiiiipp",
    "charrnn_training_free": "p",
    "charrnn_training_learn": "piipppppp",
    "charrnn_gradient_norm": "iippp",
    "charrnn_adam": "iippppppppifffffff",
}
"""The arguments of each function of the ``.cpp`` files in ``native/``."""

_RESULTS = {
    "charrnn_use_openmp": None,
    "charrnn_network_new": ctypes.c_void_p,
    "charrnn_network_free": None,
    "charrnn_expert_new": ctypes.c_void_p,
    "charrnn_expert_free": None,
    "charrnn_training_new": ctypes.c_void_p,
    "charrnn_training_free": None,
}
"""Return types of the functions that do not return whether there was memory for the work."""


@dataclass(frozen=True)
class Kernels:
    """A loaded build of the library.

    Attributes:
        build: one of BUILDS.
        functions: the library.
    """

    build: str
    functions: ctypes.CDLL

    @property
    def version(self) -> str:
        """The build with its interface: results of another differ by rounding."""
        return f"{self.build}/{INTERFACE}"

    @property
    def multiplies_bfloat16(self) -> bool:
        """True if the processor multiplies bfloat16 faster than float32."""
        return self.build == "avx512bf16"


def build_path(build: str) -> Path:
    """Return the path of a build in the installed package."""
    return FOLDER / f"_{build}.so"


@cache
def load_kernels() -> Kernels | None:
    """Load the build to use, once per process; None where there is none.

    Raises:
        UsageError: CHARRNN_KERNELS names a build that cannot be used here.
    """
    chosen = os.environ.get(CHOICE, "")
    if chosen == NONE:
        return None
    if chosen:
        reason = find_obstacle(chosen)
        if reason:
            raise UsageError(f"{CHOICE} is {chosen!r:.40}, which cannot be used: {reason}")
        return load_build(chosen)
    return next((load_build(build) for build in BUILDS if not find_obstacle(build)), None)


def find_obstacle(build: str) -> str:
    """Tell why a build cannot be used here; empty if it can."""
    if build not in BUILDS:
        return f"there is no such build; there are: {', '.join((*BUILDS, NONE))}"
    if not build_path(build).exists():
        return "it was not built when charrnn was installed"
    try:
        baseline = ctypes.CDLL(str(build_path(BASELINE)))
        supports = baseline.charrnn_supports
        supports.argtypes, supports.restype = [ctypes.c_char_p], ctypes.c_int
        if not supports(build.encode()):
            return "the processor has no such instructions"
        load_build(build)
    except OSError as problem:
        return f"it cannot be loaded: {problem}"
    except AttributeError as problem:
        return f"it is of another version of charrnn, which must be installed anew: {problem}"
    return ""


def load_build(build: str) -> Kernels:
    """Load a build.

    Raises:
        OSError: the file is missing, or is no library.
        AttributeError: a function is missing, or the interface is of another version.
    """
    functions = ctypes.CDLL(str(build_path(build)))
    if (found := functions.charrnn_interface()) != INTERFACE:
        raise AttributeError(f"interface {found}, not {INTERFACE}")
    for name, arguments in _SIGNATURES.items():
        function = getattr(functions, name)
        function.argtypes = [_CODES[code] for code in arguments]
        function.restype = _RESULTS.get(name, ctypes.c_int)
        if function.restype is not None:
            function.errcheck = _refuse_nothing
    return Kernels(build, functions)


def _refuse_nothing(result: int | None, *_: object) -> int:
    """Raise MemoryError if a function of the library found no memory for its work."""
    if not result:
        raise MemoryError("the native library found no memory for its work")
    return result
