"""The table of ``make emulate``: ``python -m tests.emulated [--compiler C] [--emulator E]``."""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Iterator
from itertools import product
from unittest.mock import patch

import torch
from torch import Tensor

from charrnn.kernels import layer_norm
from charrnn.kernels.library import Kernels
from charrnn.kernels.network import CONNECTIONS, Filters
from charrnn.kernels.torch_calls import load_shared_kernels
from charrnn.kernels.training_network import Adam, AdamArrays, AdamSettings
from tests.benchmarks.measure import say
from tests.emulated.emulator import Emulator, call_instead, emulate
from tests.kernels import test_cross_entropy, test_layer_norm
from tests.kernels.test_training_network import make_lesson
from tests.support import kernel_cases, networks
from tests.support.arrangements import VARIANTS

ALLOWED = {torch.float32: 1e-5, torch.bfloat16: 2e-2}
"""Largest difference of an array's numbers, relative to the largest of them: a hundred roundings of
float32, five of bfloat16."""

THREADS = 3
"""On so many threads results must be the same as on one, to the last bit."""

SUMS_BY_THREAD = {"layer norm": ("gain", "shift"), "recurrence": ("weight",)}
"""The only results whose last bits may differ: each thread sums a part of them, in the library or
in torch, which makes the product that is the gradient of a recurrence's weight."""

TRAINED = [form for form in VARIANTS if form.split(",")[0] in ("lstm", "gru", "rnn")]

Results = Iterator[tuple[str, str, Tensor]]
"""Functions, cases and arrays."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--compiler", default="aarch64-linux-gnu-g++")
    parser.add_argument("--emulator", default="qemu-aarch64 -L /usr/aarch64-linux-gnu")
    parser.add_argument("--flags", default="", help="of the compiler")
    options = parser.parse_args()
    try:
        here = load_shared_kernels()
        if here is None:
            return refuse("There is no native library here to compare with.")
        with emulate(options.compiler, options.emulator, options.flags) as there:
            return compare(here, there)
    except FileNotFoundError as missing:
        return refuse(f"{missing}; CROSS names the compiler, EMULATOR the emulator.")
    except subprocess.CalledProcessError as failure:
        return refuse(f"{failure.cmd[0]} failed with status {failure.returncode}.")
    except EOFError as end:
        return refuse(str(end))


def refuse(reason: str) -> int:
    sys.stderr.write(reason + "\n")
    return 1


def compare(here: Kernels, there: Emulator) -> int:
    """Print the table; return 1 if a difference is too large, or threads make one."""
    say(f"The emulated library against the build {here.build}, relative to each array's largest:\n")
    say("| function | precision | arrays | difference | allowed | of | verdict |")
    say("|---|---|---:|---:|---:|---|---|")
    verdicts = set()
    for dtype, allowed in ALLOWED.items():
        expected = collect(dtype, 1)
        with call_instead(here, there):
            alone, together = collect(dtype, 1), collect(dtype, THREADS)
        for function, arrays in expected.items():
            off = {
                case: max(distance(found[function][case], right) for found in (alone, together))
                for case, right in arrays.items()
            }
            worst = max(off, key=lambda case: off[case])
            same = all(
                torch.equal(alone[function][case], together[function][case])
                for case in arrays
                if not case.endswith(SUMS_BY_THREAD.get(function, ()))
            )
            verdict = "TOO LARGE" if off[worst] > allowed else "ok" if same else "THREADS DIFFER"
            verdicts.add(verdict)
            say(
                f"| {function} | {str(dtype)[6:]} | {len(arrays):,} | {off[worst]:.1e} "
                f"| {allowed:.0e} | {worst} | {verdict} |"
            )
    if there.left:
        return refuse(f"No case calls {', '.join(sorted(there.left))}.")
    return int(verdicts != {"ok"})


def distance(got: Tensor, right: Tensor) -> float:
    """Find the largest difference relative to the largest number; infinite for a NaN."""
    off = (got.double() - right.double()).abs().max().item()
    return off / right.abs().max().item() if 0 < off < torch.inf else off and torch.inf


def collect(dtype: torch.dtype, threads: int) -> dict[str, dict[str, Tensor]]:
    """Collect the results of every function of the library, by function and case."""
    results: dict[str, dict[str, Tensor]] = {}
    before = torch.get_num_threads()
    for work in (run_windows, run_rows, run_networks, learn, step):
        torch.manual_seed(0)
        torch.set_num_threads(1)  # Some of the numbers that networks begin with depend on it.
        for function, case, result in work(dtype, threads):
            results.setdefault(function, {})[case] = result.detach()
    torch.set_num_threads(before)
    return results


def run_windows(dtype: torch.dtype, threads: int) -> Results:
    """Recurrences and their gradients; threads split the units of few rows and many rows."""
    precision = "bf16" if dtype == torch.bfloat16 else "fp32"
    shapes = ((7, 5, 33), (6, 24, 32))
    for form, shape, table in product(kernel_cases.FORMS, shapes, (0, 11)):
        window = kernel_cases.make_case(form, *shape, table=table)
        for name, result in kernel_cases.run(window, precision, threads).items():
            yield "recurrence", f"{form}, {shape}, {table} in a table, {name}", result


def run_rows(dtype: torch.dtype, threads: int) -> Results:
    torch.set_num_threads(threads)
    for shape in ((4, 13, 33), (6, 24, 32)):
        case = test_layer_norm.make(shape, dtype, masked=True)
        with patch.object(layer_norm, "SHARED", 0):  # As many threads as for a large one.
            for name, result in test_layer_norm.run(case).items():
                yield "layer norm", f"{shape}, {name}", result
    for size in ((7, 65), (40, 1_003)):
        for name, result in test_cross_entropy.run(*test_cross_entropy.make(size, dtype)).items():
            yield "cross entropy", f"{size}, {name}", result


def run_networks(dtype: torch.dtype, threads: int) -> Results:
    """Networks that read, score and draw."""
    filters = Filters(temperature=0.9, top_k=9, top_p=0.95, min_p=0.01)
    for arrangement, hidden in product(networks.SERVED, (19, 16)):
        model = networks.make_model(arrangement, hidden=hidden)
        own = networks.native(arrangement, model, bfloat16=dtype == torch.bfloat16)
        ids, case = networks.random_ids(12, 7), f"{arrangement}, {hidden} units"
        states = own.fresh_states(7)
        logits = own.predict(ids, states, threads)
        yield "network: read", f"{case}, logits", torch.from_numpy(logits)
        yield "network: read", f"{case}, states", torch.from_numpy(states)
        nats = own.score(ids[:-1], ids[1:], own.fresh_states(7), threads)
        yield "network: score", case, torch.from_numpy(nats)
        uniforms = torch.rand(7, 12, dtype=torch.float64).numpy()
        drawn = own.draw(ids[0], uniforms, own.fresh_states(7), filters, threads)
        yield "network: draw", case, torch.from_numpy(drawn)
    model, expert = networks.make_model("lstm"), networks.make_expert()
    joined = networks.native("lstm", model, bfloat16=dtype == torch.bfloat16, expert=expert)
    histories = expert.fresh_histories(7)
    logits = joined.predict(ids, joined.fresh_states(7), threads, histories)
    yield "network: read", "an expert, logits", torch.from_numpy(logits)
    yield "network: read", "an expert, histories", torch.from_numpy(histories)


def learn(dtype: torch.dtype, threads: int) -> Results:
    """Losses, states and gradients of windows."""
    sizes, norms = ("odd", "by rows", "text"), {"layer": 0.4, "none": 0.0}
    for form, size, connect, norm in product(TRAINED, sizes, CONNECTIONS, norms):
        lesson = make_lesson(form, size, connect=connect, norm=norm, dropout=norms[norm])
        own = lesson.build(bfloat16=dtype == torch.bfloat16)
        case = f"{form}, {size}, {connect}, norm {norm}"
        for name, result in lesson.learn(own, threads).items():
            yield "training: learn", f"{case}, {name}", result
        yield "training: gradient norm", case, torch.tensor(own.measure_norm(threads))


def step(dtype: torch.dtype, threads: int) -> Results:
    """Steps of Adam; they are float32 always."""
    kernels = load_shared_kernels()
    if dtype == torch.bfloat16 or kernels is None:
        return
    for decoupled, bound in product((False, True), (0.0, 0.3)):
        weights, gradients, means, squares, averages = (
            [torch.randn(n).abs() for n in (1, 33, 4097)] for _ in range(5)
        )
        steps = [torch.full((), 3.0) for _ in weights]
        arrays = AdamArrays(weights, gradients, means, squares, averages, steps, [0.1, 0.0, 0.1])
        settings = AdamSettings(0.02, (0.9, 0.99), 1e-8, decoupled, 0.5, bound, 0.25)
        Adam(kernels, arrays).step(settings, threads)
        for name in ("weights", "means", "squares", "averages"):
            changed = torch.cat(getattr(arrays, name))
            yield "training: Adam", f"{decoupled=}, {bound=}, {name}", changed


if __name__ == "__main__":
    sys.exit(main())
