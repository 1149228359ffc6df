"""Compile the native library, once for each kind of processor.

What cannot be compiled is left out with a warning, and torch does its work: without a compiler, or
with one that does not have the vector types of GCC and Clang, such as Microsoft's. Everything else
about the project stands in pyproject.toml.
"""

import copy
import platform
import sys
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

SOURCES = Path("charrnn/kernels/native")
# No errno of mathematical functions: nobody reads it, and keeping it takes a branch at every root.
FLAGS = ["-std=c++20", "-O3", "-g0", "-fno-math-errno", "-fvisibility=hidden", "-pthread"]
# The first macOS whose C++ library lets threads wait for an atomic.
PLATFORM = ["-mmacosx-version-min=11.0"] if sys.platform == "darwin" else []
AVX2 = ["-mavx2", "-mfma"]
AVX512 = [*AVX2, "-mavx512f", "-mavx512bw", "-mavx512vl", "-mavx512dq"]
BUILDS = {"baseline": []}
if platform.machine().lower() in {"x86_64", "amd64"}:
    BUILDS |= {"avx2": AVX2, "avx512": AVX512, "avx512bf16": [*AVX512, "-mavx512bf16"]}


class BuildKernels(build_ext):
    """Builds libraries that are loaded by their path, and are no Python modules."""

    def finalize_options(self) -> None:
        """Build side by side unless told how."""
        super().finalize_options()
        if self.parallel is None:
            self.parallel = True

    def build_extension(self, ext: Extension) -> None:
        """Build in a folder of its own: all builds have the same source."""
        own = copy.copy(self)
        own.build_temp = str(Path(self.build_temp, ext.name))
        super(BuildKernels, own).build_extension(ext)

    def get_ext_filename(self, fullname: str) -> str:
        """The same name with every version of Python."""
        return str(Path(*fullname.split("."))) + ".so"

    def get_export_symbols(self, ext: Extension) -> list[str]:  # noqa: ARG002
        """None: there is no module to initialise."""
        return []


setup(
    cmdclass={"build_ext": BuildKernels},
    ext_modules=[
        Extension(
            f"charrnn.kernels._{build}",
            sorted(str(path) for path in SOURCES.glob("*.cpp")),
            depends=sorted(str(path) for path in SOURCES.glob("*.h")),
            extra_compile_args=[*FLAGS, *PLATFORM, *flags],
            extra_link_args=["-pthread", *PLATFORM],
            language="c++",
            optional=True,
        )
        for build, flags in BUILDS.items()
    ],
)
