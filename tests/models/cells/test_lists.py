"""A list moves and inserts as told when its actions are certain."""

import torch
from torch import Tensor, nn

from charrnn.models.cells.stack_rnn import EMPTY, ListRNN
from tests.support.arrangements import make_cell

ACTIONS = ("left", "right", "insert", "no-op")
SYMBOLS = ("A", "B")
CERTAIN = 1000.0
VALUES = {"A": float(torch.tensor(2.0).double().sigmoid()), "B": 0.5}
"""The values inserted for each symbol."""


def obedient() -> ListRNN:
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
    cell = obedient()
    words = (*ACTIONS, *SYMBOLS)
    on = [[1.0 if word in order.split() else -1.0 for word in words] for order in orders]
    x: Tensor = torch.tensor(on, dtype=torch.float64)[:, None]
    _, (_, lists) = cell(x, cell.initial_state(1))
    found: list[float] = lists.flatten().tolist()
    return found


def holding(*cells: str) -> list[float]:
    return [EMPTY if cell == "-" else VALUES[cell] for cell in cells]


def test_an_insertion_stands_at_the_head_and_pushes_what_stood_there_to_its_left() -> None:
    assert list_after("insert A") == holding(*"--A--")
    assert list_after("insert A", "insert B") == holding(*"-AB--")


def test_the_list_moves_past_the_head() -> None:
    assert list_after("insert A", "insert B", "left") == holding(*"--AB-")
    assert list_after("insert A", "insert B", "right") == holding(*"AB---")


def test_an_insertion_in_the_middle_keeps_what_is_right_of_the_head() -> None:
    assert list_after("insert A", "insert B", "left", "insert B") == holding(*"-ABB-")


def test_what_moves_past_an_end_is_lost() -> None:
    gone = ("insert A", "insert B", "left", "left")
    assert list_after(*gone) == holding(*"---AB")
    assert list_after(*gone, "left", "right") == holding(*"---A-")


def test_no_op_leaves_the_list_as_it_is() -> None:
    assert list_after("insert A", "insert B", "no-op") == list_after("insert A", "insert B")


def test_the_head_and_its_two_neighbors_are_read() -> None:
    cell = obedient()
    with torch.no_grad():
        cell.stack_weight[0] = torch.tensor([1.0, 10.0, 100.0])
    lists = torch.tensor([[[7.0, 1.0, 2.0, 3.0, 9.0]]]).double()
    cell.activation = "relu"
    y, _ = cell(torch.zeros(1, 1, 6).double(), (torch.zeros(1, 6).double(), lists))
    assert y[0, 0, 0].item() == 1 + 20 + 300
