"""Compile the native library, once for each kind of processor; what cannot be compiled is left out.

Everything else about the project stands in pyproject.toml.
"""

import platform
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

SOURCES = Path("charrnn/kernels/native")
FLAGS = ["-std=c++20", "-O3", "-g0", "-fvisibility=hidden", "-pthread"]
AVX2 = ["-mavx2", "-mfma"]
AVX512 = [*AVX2, "-mavx512f", "-mavx512bw", "-mavx512vl", "-mavx512dq"]
BUILDS = {"baseline": []}
if platform.machine().lower() in {"x86_64", "amd64"}:
    BUILDS |= {"avx2": AVX2, "avx512": AVX512, "avx512bf16": [*AVX512, "-mavx512bf16"]}


class BuildKernels(build_ext):
    """Builds libraries that are loaded by their path, and are no Python modules."""

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
            extra_compile_args=[*FLAGS, *flags],
            extra_link_args=["-pthread"],
            language="c++",
            optional=True,
        )
        for build, flags in BUILDS.items()
    ],
)
