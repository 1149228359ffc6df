"""The native library in an emulator, called as if it were loaded here.

Functions get addresses of arrays. The arrays are copied into the emulated process before a call
and back after it, so that whatever calls the library can call this one.
"""

from __future__ import annotations

import ctypes
import shlex
import shutil
import struct
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

from torch import Tensor

from charrnn.kernels import library, network

OPTIONS = ("-std=c++20", "-O3", "-DNDEBUG", "-fno-math-errno", "-Wall", "-Wextra", "-pthread")
"""Those of an installation; ``native/CMakeLists.txt`` has the ones of each instruction set."""

TYPES = {"i": "int", "l": "std::int64_t", "f": "float", "d": "double", "p": "void*"}
RESULTS = {ctypes.c_int: "int", ctypes.c_void_p: "void*", None: "void"}

FUNCTIONS = {name: own for name, own in library._SIGNATURES.items() if "openmp" not in name}


class Emulator:
    """The functions of the library in an emulated process; driver.cpp describes the messages.

    Args:
        command: starts the process.

    Attributes:
        arrays: those whose addresses were asked for: by address, their bytes, and what keeps them
            alive.
        left: names of the functions that were not called yet.
    """

    def __init__(self, command: list[str]) -> None:
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self._owned: dict[int, set[int]] = {}  # Addresses of arrays that a network goes on using.
        self.arrays: dict[int, tuple[int, object]] = {}
        self.left = set(FUNCTIONS)

    def __getattr__(self, name: str) -> Callable[..., int]:
        return partial(self._call, name)

    def close(self) -> None:
        """End the process."""
        self._process.communicate()

    def _call(self, name: str, *arguments: Any) -> int:
        used: set[int] = set()
        request = struct.pack("=ci", b"c", list(FUNCTIONS).index(name))
        for code, value in zip(FUNCTIONS[name], arguments, strict=True):
            if code == "p":
                request += self._encode_pointer(value, used)
            else:
                request += struct.pack("=" + code.replace("l", "q"), value)
        sizes = {address: self.arrays[address][0] for address in used}
        for address, size in sizes.items():
            self._send(struct.pack("=cQQ", b"w", address, size) + ctypes.string_at(address, size))
        self._send(request)
        (result,) = struct.unpack("=Q", self._receive(8))
        for address, size in sizes.items():
            self._send(struct.pack("=cQ", b"r", address))
            ctypes.memmove(address, self._receive(size), size)
        if name.endswith("_new"):
            self._owned[result] = used
        self.left.discard(name)
        return library._refuse_nothing(result)

    def _encode_pointer(self, value: Any, used: set[int]) -> bytes:
        """Encode an address, and add the arrays behind it to those used."""
        if value is None or (isinstance(value, int) and value in self._owned):
            used |= self._owned.get(value or 0, set())
            return struct.pack("=qQ", -1, value or 0)
        if isinstance(value, ctypes.Array) and value._type_ is ctypes.c_void_p:
            entries = [entry or 0 for entry in value]
            used.update(entry for entry in entries if entry)
            return struct.pack(f"=q{len(entries)}Q", len(entries), *entries)
        if not isinstance(value, int):  # Memory of ctypes, or a reference to it.
            memory = getattr(value, "_obj", value)
            value = ctypes.addressof(memory)
            self.arrays[value] = (ctypes.sizeof(memory), memory)
        used.add(value)
        return struct.pack("=qQ", 0, value)

    def _send(self, message: bytes) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(message)
        self._process.stdin.flush()

    def _receive(self, size: int) -> bytes:
        assert self._process.stdout is not None
        answer = self._process.stdout.read(size)
        if len(answer) < size:
            raise EOFError(f"The emulated process ended with status {self._process.wait()}.")
        return answer


@contextmanager
def emulate(compiler: str, emulator: str, flags: str) -> Iterator[Emulator]:
    """Build the library with a compiler, and run it in an emulator.

    Args:
        compiler: a command.
        emulator: likewise; empty where this processor runs what the compiler makes.
        flags: more options of the compiler.

    Raises:
        FileNotFoundError: there is no such command.
        subprocess.CalledProcessError: the compiler fails.
    """
    for command in (compiler, emulator):
        for program in shlex.split(command)[:1]:
            if not shutil.which(program):
                raise FileNotFoundError(f"There is no {program}")
    sources = [Path(__file__).with_name("driver.cpp"), *(library.FOLDER / "native").glob("*.cpp")]
    with TemporaryDirectory() as folder:
        (Path(folder) / "functions.h").write_text(declare_functions())
        build = [*shlex.split(compiler), *OPTIONS, *shlex.split(flags), "-I", folder]
        subprocess.run([*build, *map(str, sources), "-o", f"{folder}/driver"], check=True)
        functions = Emulator([*shlex.split(emulator), f"{folder}/driver"])
        try:
            yield functions
        finally:
            functions.close()


def declare_functions() -> str:
    """Write the header that the driver includes, from the signatures that the package declares."""
    header = ""
    for name, codes in FUNCTIONS.items():
        result = RESULTS[library._RESULTS.get(name, ctypes.c_int)]
        header += f'extern "C" {result} {name}({", ".join(TYPES[code] for code in codes)});\n'
    calls = "".join(f"    [] {{ return call({name}); }},\n" for name in FUNCTIONS)
    return f"{header}\nstd::uint64_t (*const FUNCTIONS[])() = {{\n{calls}}};\n"


@contextmanager
def call_instead(kernels: library.Kernels, emulator: Emulator) -> Iterator[None]:
    """Make every call of a loaded library go to the one in the emulator."""
    find_address, find_addresses = Tensor.data_ptr, network._addresses

    def data_ptr(tensor: Tensor) -> int:
        steps = zip(tensor.shape, tensor.stride(), strict=True)
        last = sum((count - 1) * stride for count, stride in steps)
        size = (last + 1) * tensor.element_size() if tensor.numel() else 0
        emulator.arrays[find_address(tensor)] = (size, tensor.detach())
        return find_address(tensor)

    def addresses(*arrays: Any) -> list[int | None]:
        emulator.arrays |= {a.ctypes.data: (a.nbytes, a) for a in arrays if a is not None}
        return find_addresses(*arrays)

    with (
        patch.dict(vars(kernels), {"functions": emulator}),
        patch.object(Tensor, "data_ptr", data_ptr),
        patch.object(network, "_addresses", addresses),
    ):
        yield
