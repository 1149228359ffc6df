"""What a list does when its actions are certain."""

import torch
from torch import Tensor, nn

from charrnn.cells.lists import ListRNN
from charrnn.cells.stack import EMPTY
from tests.arrangements import make_cell

ACTIONS = ("left", "right", "insert", "no-op")
CERTAIN = 1000.0
VALUE = float(torch.tensor(2.0).double().sigmoid())


def obedient() -> ListRNN:
    """A cell with one list of five cells that does what its inputs say, one unit an action."""
    cell = make_cell("list", 4, 4, stacks=1, stack_depth=5, stack_noop=True)
    assert isinstance(cell, ListRNN)
    for parameter in cell.parameters():
        nn.init.zeros_(parameter)
    with torch.no_grad():
        cell.input_weight.copy_(CERTAIN * torch.eye(4))
        cell.action_weight.copy_(CERTAIN * torch.eye(4))
        cell.push_weight.fill_(2.0)
    return cell


def list_after(*orders: str) -> list[float]:
    cell = obedient()
    on = [[1.0 if action == order else -1.0 for action in ACTIONS] for order in orders]
    x: Tensor = torch.tensor(on, dtype=torch.float64)[:, None]
    _, (_, lists) = cell(x, cell.initial_state(1))
    found: list[float] = lists.flatten().tolist()
    return found


def holding(*cells: str) -> list[float]:
    return [EMPTY if cell == "-" else VALUE for cell in cells]


def test_an_insertion_stands_at_the_head_and_pushes_what_stood_there_to_its_left() -> None:
    assert list_after("insert") == holding(*"--v--")
    assert list_after("insert", "insert") == holding(*"-vv--")


def test_the_list_moves_past_the_head() -> None:
    assert list_after("insert", "left") == holding(*"---v-")
    assert list_after("insert", "right") == holding(*"-v---")
    assert list_after("insert", "left", "right") == list_after("insert")


def test_an_insertion_in_the_middle_keeps_what_is_right_of_the_head() -> None:
    assert list_after("insert", "left", "insert") == holding(*"--vv-")


def test_what_moves_past_an_end_is_lost() -> None:
    gone = ("insert", "left", "left", "left")
    assert list_after(*gone) == list_after(*gone, "right", "right", "right") == holding(*"-----")


def test_no_op_leaves_the_list_as_it_is() -> None:
    assert list_after("insert", "no-op") == list_after("insert")
