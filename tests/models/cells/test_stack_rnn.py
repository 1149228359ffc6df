"""Stacks and lists do as told when their actions are certain, and mix when they are not."""

import pytest
import torch
from torch import Tensor, nn

from charrnn.models.cells.base import State
from charrnn.models.cells.stack_rnn import EMPTY, ListRNN, StackRNN
from tests.support.arrangements import make_cell

ACTIONS = ("push", "pop", "no-op")
SYMBOLS = ("A", "B")
CERTAIN = 1000.0
"""A score so far above the others that softmax and sigmoid round to 1."""

VALUES = {"A": torch.tensor(2.0).double().sigmoid(), "B": torch.tensor(-1.0).double().sigmoid()}
"""The values pushed for each symbol."""


def obedient(depth: int = 4, **settings: bool) -> StackRNN:
    """A cell with one stack that does what its inputs say: one unit for each action and symbol."""
    cell = make_cell("stack, no-op", 5, 5, stacks=1, stack_depth=depth, **settings)
    assert isinstance(cell, StackRNN)
    for parameter in cell.parameters():
        nn.init.zeros_(parameter)
    with torch.no_grad():
        cell.input_weight.copy_(CERTAIN * torch.eye(5))
        cell.action_weight[:, :3] = CERTAIN * torch.eye(3)
        cell.push_weight[0, 3:] = torch.tensor([2.0, -1.0])
    return cell


def tell(*orders: str) -> Tensor:
    """Inputs for orders such as "push A" and "pop", (T, 1, 5)."""
    words = (*ACTIONS, *SYMBOLS)
    on = [[1.0 if word in order.split() else -1.0 for word in words] for order in orders]
    return torch.tensor(on, dtype=torch.float64)[:, None]


def stack_after(cell: StackRNN, *orders: str, state: State | None = None) -> list[float]:
    _, (_, stacks) = cell(tell(*orders), state or cell.initial_state(1))
    assert stacks.shape[:2] == (1, 1)
    cells: list[float] = stacks.flatten().tolist()
    return cells


def holding(*cells: str) -> list[float]:
    """A stack of four cells: pushed symbols, and - for an empty one."""
    return [EMPTY if cell == "-" else float(VALUES[cell]) for cell in cells]


def test_an_empty_stack_reads_minus_one() -> None:
    cell = obedient()
    assert EMPTY == -1
    assert stack_after(cell, "no-op") == holding(*"----")
    assert stack_after(cell, "pop", "pop") == holding(*"----")


def test_what_was_pushed_comes_back_in_the_other_order() -> None:
    cell = obedient()
    assert stack_after(cell, "push A", "push B") == holding(*"BA--")
    assert stack_after(cell, "push A", "push B", "pop") == holding(*"A---")
    assert stack_after(cell, "push A", "push B", "pop", "pop") == holding(*"----")


def test_no_op_leaves_the_stack_as_it_is() -> None:
    cell = obedient()
    assert stack_after(cell, "push A", "push B", "no-op", "no-op") == holding(*"BA--")


def test_what_is_pushed_beyond_the_last_cell_is_lost() -> None:
    cell = obedient(depth=3)
    pushes = ("push A", "push B", "push A", "push B")
    assert stack_after(cell, *pushes) == holding(*"BAB")
    assert stack_after(cell, *pushes, "pop", "pop", "pop") == holding(*"---")


def test_rows_and_stacks_act_each_on_its_own() -> None:
    cell = make_cell("stack, no-op", 5, 5, stacks=2, stack_depth=3)
    assert isinstance(cell, StackRNN)
    for parameter in cell.parameters():
        nn.init.zeros_(parameter)
    with torch.no_grad():
        cell.input_weight.copy_(CERTAIN * torch.eye(5))
        # The second stack pops where the first is told to push, and the other way round.
        cell.action_weight[:3, :3] = CERTAIN * torch.eye(3)
        cell.action_weight[3:, :3] = CERTAIN * torch.eye(3)[[1, 0, 2]]
    before = torch.arange(12, dtype=torch.float64).view(2, 2, 3)
    x = torch.cat((tell("push"), tell("pop")), dim=1)
    _, (_, after) = cell(x, (torch.zeros(2, 5).double(), before))
    expected = [[[0.5, 0, 1], [4, 5, -1]], [[7, 8, -1], [0.5, 9, 10]]]
    assert after.tolist() == expected


def undecided(*, rounded: bool) -> StackRNN:
    """A cell that is three to one for pushing, by a unit that is always on."""
    cell = make_cell("stack", 5, 5, stacks=1, stack_depth=3, stack_round=rounded)
    assert isinstance(cell, StackRNN)
    for parameter in cell.parameters():
        nn.init.zeros_(parameter)
    with torch.no_grad():
        cell.bias[0] = CERTAIN
        cell.action_weight[0, 0] = torch.tensor(3.0).log()
    return cell


def test_actions_are_taken_in_proportion() -> None:
    cell = undecided(rounded=False)
    before = (torch.zeros(1, 5).double(), torch.tensor([[[0.25, 0.75, 1.0]]]).double())
    after = stack_after(cell, "no-op", state=before)
    popped, pushed = [0.75, 1.0, -1.0], [0.5, 0.25, 0.75]
    expected = [0.75 * a + 0.25 * b for a, b in zip(pushed, popped, strict=True)]
    assert after == pytest.approx(expected, rel=1e-6)


def test_rounding_takes_the_likeliest_action_outside_training_alone() -> None:
    rounded, smooth = undecided(rounded=True), undecided(rounded=False)
    orders = ("no-op", "no-op")
    assert stack_after(rounded, *orders) == [0.5, 0.5, -1]
    assert stack_after(rounded.train(), *orders) == stack_after(smooth.train(), *orders)
    assert stack_after(rounded, *orders) != [0.5, 0.5, -1]


def test_rounding_does_not_change_actions_that_are_certain() -> None:
    orders = ("push A", "push B", "no-op", "pop", "push B")
    whole = stack_after(obedient(), *orders)
    assert stack_after(obedient(stack_round=True), *orders) == whole == holding(*"BA--")


def test_the_two_topmost_elements_are_read_before_the_step() -> None:
    cell = make_cell("stack", 1, 4, stacks=2, stack_depth=3)
    assert isinstance(cell, StackRNN)
    for parameter in cell.parameters():
        nn.init.zeros_(parameter)
    with torch.no_grad():
        cell.stack_weight.copy_(torch.eye(4))
    stacks = torch.randn(1, 2, 3, dtype=torch.float64)
    y, _ = cell(torch.zeros(1, 1, 1).double(), (torch.zeros(1, 4).double(), stacks))
    torch.testing.assert_close(y[0, 0], stacks[0, :, :2].flatten().sigmoid(), rtol=0, atol=1e-15)


LIST_ACTIONS = ("left", "right", "insert", "no-op")
LIST_VALUES = {"A": float(torch.tensor(2.0).double().sigmoid()), "B": 0.5}
"""The values inserted for each symbol."""


def obedient_list() -> ListRNN:
    """A cell with one list of five that does what its inputs say, a unit an action or symbol."""
    cell = make_cell("list", 6, 6, stacks=1, stack_depth=5, stack_noop=True)
    assert isinstance(cell, ListRNN)
    for parameter in cell.parameters():
        nn.init.zeros_(parameter)
    with torch.no_grad():
        cell.input_weight.copy_(CERTAIN * torch.eye(6))
        cell.action_weight[:, :4] = CERTAIN * torch.eye(4)
        cell.push_weight[0, 4] = 2.0
    return cell


def list_after(*orders: str) -> list[float]:
    cell = obedient_list()
    words = (*LIST_ACTIONS, *SYMBOLS)
    on = [[1.0 if word in order.split() else -1.0 for word in words] for order in orders]
    x: Tensor = torch.tensor(on, dtype=torch.float64)[:, None]
    _, (_, lists) = cell(x, cell.initial_state(1))
    found: list[float] = lists.flatten().tolist()
    return found


def list_holding(*cells: str) -> list[float]:
    return [EMPTY if cell == "-" else LIST_VALUES[cell] for cell in cells]


def test_an_insertion_stands_at_the_head_and_pushes_what_stood_there_to_its_left() -> None:
    assert list_after("insert A") == list_holding(*"--A--")
    assert list_after("insert A", "insert B") == list_holding(*"-AB--")


def test_the_list_moves_past_the_head() -> None:
    assert list_after("insert A", "insert B", "left") == list_holding(*"--AB-")
    assert list_after("insert A", "insert B", "right") == list_holding(*"AB---")


def test_an_insertion_in_the_middle_keeps_what_is_right_of_the_head() -> None:
    assert list_after("insert A", "insert B", "left", "insert B") == list_holding(*"-ABB-")


def test_what_moves_past_an_end_is_lost() -> None:
    gone = ("insert A", "insert B", "left", "left")
    assert list_after(*gone) == list_holding(*"---AB")
    assert list_after(*gone, "left", "right") == list_holding(*"---A-")


def test_no_op_leaves_the_list_as_it_is() -> None:
    assert list_after("insert A", "insert B", "no-op") == list_after("insert A", "insert B")


def test_the_head_and_its_two_neighbors_are_read() -> None:
    cell = obedient_list()
    with torch.no_grad():
        cell.stack_weight[0] = torch.tensor([1.0, 10.0, 100.0])
    lists = torch.tensor([[[7.0, 1.0, 2.0, 3.0, 9.0]]]).double()
    cell.activation = "relu"
    y, _ = cell(torch.zeros(1, 1, 6).double(), (torch.zeros(1, 6).double(), lists))
    assert y[0, 0, 0].item() == 1 + 20 + 300
