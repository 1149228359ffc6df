"""A number that is not finite never reaches the weights, and a run that diverges goes back.

What a run that goes back ought to come to is found without going back: a run that nothing happens
to is put down at the evaluation before the fault, and taken up from there as one that was asked to
learn at half the rate, or a quarter or an eighth of it.
"""

import json
import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory

from charrnn.checkpoints.checkpoint import write_checkpoint
from charrnn.data.corpus import Corpus, fit_corpus
from charrnn.errors import CheckpointError, DivergedError
from charrnn.training.progress import Evaluated, Event, RolledBack, Step
from charrnn.training.run_config import read_run
from charrnn.training.session import Session, resume_session
from tests.conftest import SENTENCES
from tests.robustness.faults import STEPS, Plan, draw_plan, inject, injected
from tests.robustness.promise import Promise
from tests.robustness.state import State, facts_of, find_differences, state_of
from tests.support.forked import Forked, forked
from tests.support.program import explain
from tests.support.sessions import begin

TEXT = "\n".join(SENTENCES * 10)
_WEIGHTS = ("model.", "average.", "optimizer.")


def write_corpus(folder: Path) -> Corpus:
    """The text, in folder/corpus.txt, as it is read from there."""
    path = folder / "corpus.txt"
    path.write_text(TEXT)
    return fit_corpus([path])


def take_up(session: Session, corpus: Corpus, path: Path, halvings: int = 0) -> Session:
    """The same run from a checkpoint, asked to learn at a rate that is halved so often."""
    write_checkpoint(path, session.checkpoint())
    saved = read_run(path)
    train = saved.request.train
    train = replace(train, learning_rate=train.learning_rate / 2**halvings)
    return resume_session(saved, corpus, replace(saved.request, train=train))


def train_until(session: Session, reached: Callable[[Event], bool]) -> None:
    """Train until an event, or to the end."""
    for event in session.trainer.fit():
        if reached(event):
            return


@cache
def without_going_back(plan: Plan, steps: int) -> State:
    """Return the state of a run of a plan's rates after these steps, without any going back."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        corpus = write_corpus(folder)
        session = begin(plan.request, corpus, "corpus")
        good = plan.good_step
        if good:
            train_until(session, lambda e: isinstance(e, Evaluated) and e.step == good)
        session = take_up(session, corpus, folder / "last", plan.halvings)
        if steps > good:
            at_end = steps == STEPS
            train_until(session, lambda e: isinstance(e, Step) and e.step == steps and not at_end)
        return facts_of("last", session.checkpoint())


def differing_from(expected: State, state: State) -> list[str]:
    """Return the names of entries that differ, apart from rates and halvings."""
    return find_differences(_without_rates(state), _without_rates(expected))


def _without_rates(state: State) -> State:
    """Return the entries of the last checkpoint without rates and the number of halvings."""
    kept = {n: v for n, v in state.items() if n.startswith("last ") and n != "last train"}
    for name in ("last progress", "last good"):
        if kept[name] is not None:
            kept[name] = {n: v for n, v in kept[name].items() if n != "halvings"}
    return kept


def in_one_process(count: int, seed: int) -> Iterator[str | None]:
    """Trials of the library, which is also put down and taken up at any event."""
    for number in range(count):
        how = f"seed {seed}, number {number}"
        chance = random.Random(how)
        plan = draw_plan(chance)
        put_down = frozenset(chance.sample(range(3 * STEPS), chance.randint(0, 4)))
        with TemporaryDirectory() as folder:
            problem = _try_in_one_process(plan, put_down, Path(folder))
        yield problem and f"{how}: {plan}, put down at {sorted(put_down)}: {problem}"


def _try_in_one_process(plan: Plan, put_down: frozenset[int], folder: Path) -> str | None:
    corpus = write_corpus(folder)
    session = begin(plan.request, corpus, "corpus")
    went_back: list[RolledBack] = []
    ended = False
    events = 0
    with injected(plan.fault):
        try:
            while not session.trainer.finished:
                for event in session.trainer.fit():
                    events += 1
                    if isinstance(event, RolledBack):
                        went_back.append(event)
                    if events in put_down:
                        session = _put_down(session, corpus, folder, went_back)
                        break
        except DivergedError:
            ended = True
    expected = [(plan.good_step, number) for number in range(1, plan.halvings + 1)]
    if [(event.step, event.halvings) for event in went_back] != expected:
        return f"it went back {went_back}"
    if ended != plan.ends:
        return "it ended" if ended else "it did not end"
    if not ended:
        final = facts_of("last", session.checkpoint())
        return _told(differing_from(without_going_back(plan, STEPS), final))
    if plan.fault.kind == "weights":
        return None
    session.trainer.train_state.check_finite()
    now = facts_of("last", session.checkpoint())
    different = differing_from(without_going_back(plan, plan.fault.step), now)
    weights = tuple(f"last {part}" for part in _WEIGHTS)
    return _told([name for name in different if name.startswith(weights)])


def _put_down(
    session: Session, corpus: Corpus, folder: Path, went_back: list[RolledBack]
) -> Session:
    """Save the run and take it up, as the program does."""
    try:
        return take_up(session, corpus, folder / "last")
    except DivergedError as problem:
        went_back.append(session.trainer.roll_back(problem))
        return take_up(session, corpus, folder / "last")


def in_processes(count: int, seed: int) -> Iterator[str | None]:
    """Trials of the program."""
    for number in range(count):
        how = f"seed {seed}, process {number}"
        chance = random.Random(how)
        plan = draw_plan(chance)
        save_every = chance.choice(("0", "1000"))
        with TemporaryDirectory() as folder:
            write_corpus(Path(folder))
            try:
                problem = _try_in_processes(plan, save_every, Path(folder))
            except CheckpointError as error:
                problem = str(error)
        yield problem and f"{how}: {plan}, --save-every {save_every}: {problem}"


def _try_in_processes(plan: Plan, save_every: str, folder: Path) -> str | None:
    arguments = ("train", "corpus.txt", "--run", "run", *plan.options, "--save-every", save_every)
    result = Forked(*arguments, cwd=folder, first=partial(inject, plan.fault)).result()
    if result.returncode != (DivergedError.exit_code if plan.ends else 0):
        return explain(result)
    said = result.stderr.decode()
    if "Traceback" in said or said.count(f"Back to step {plan.good_step}, ") != plan.halvings:
        return explain(result)
    if plan.ends and not plan.fault.step:
        left = [path.name for path in folder.glob("run/*")]
        return f"nothing was learned, and {left} are left" if left else None
    log = folder / "run" / "log.jsonl"
    records = map(json.loads, log.read_text().splitlines() if log.exists() else ())
    halvings = [(r["step"], r["halvings"]) for r in records if r["event"] == "rollback"]
    if halvings != [(plan.good_step, number) for number in range(1, plan.halvings + 1)]:
        return f"it logged {halvings}"
    if plan.ends:
        # The fault is gone: from the last good checkpoint the run goes on as if it never was.
        result = forked("train", "--resume", "--run", "run", cwd=folder)
        if result.returncode:
            return explain(result)
    return _told(differing_from(without_going_back(plan, STEPS), state_of(folder / "run")))


def _told(different: list[str]) -> str | None:
    return f"differs in {', '.join(different)[:300]}" if different else None


PROMISES = (
    Promise(
        "What is not finite never reaches the weights; a run goes back to its last evaluation, "
        "at half the rate, three times at most",
        in_one_process,
        1000,
    ),
    Promise(
        "So does the program, which says so, logs it, and leaves a checkpoint to go on from",
        in_processes,
        200,
    ),
)
