"""Every promise, tried, in one table: ``python -m tests.robustness [KIND ...] [--share S]``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module

from tests.benchmarks.measure import say
from tests.robustness.promise import Outcome, Promise, put_to_the_test

KINDS = ("killed", "disk", "divergence", "signals", "reader", "corpus", "terminal")
"""Files of this folder; each has PROMISES, a tuple."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kinds", nargs="*", metavar="KIND", help=", ".join(KINDS))
    parser.add_argument("--share", type=float, default=1.0, help="of the trials to make")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    if unknown := set(options.kinds) - set(KINDS):
        parser.error(f"no such kind: {', '.join(sorted(unknown))}; there are: {', '.join(KINDS)}")
    outcomes = []
    for kind in options.kinds or KINDS:
        promises: Sequence[Promise] = import_module(f"tests.robustness.{kind}").PROMISES
        for promise in promises:
            count = max(round(promise.count * options.share), 1)
            outcome = put_to_the_test(promise, count, options.seed)
            _report(outcome)
            outcomes.append(outcome)
    _print_table(outcomes)
    return int(any(outcome.failures for outcome in outcomes))


def _report(outcome: Outcome) -> None:
    lines = [f"{outcome.promise}: {outcome.trials:,} trials", *outcome.failures]
    sys.stderr.write("\n    ".join(lines) + "\n")
    sys.stderr.flush()


def _print_table(outcomes: Sequence[Outcome]) -> None:
    say("| promise | trials | failures | seconds |\n|---|---|---|---|")
    for o in outcomes:
        say(f"| {o.promise} | {o.trials:,} | {len(o.failures):,} | {o.seconds:,.0f} |")


if __name__ == "__main__":
    sys.exit(main())
