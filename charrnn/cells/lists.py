"""List-augmented recurrent network.

    q  = the element at the head of every list and its two neighbours, before the step
    h' = f(U x + W h + P q + b)
    a  = softmax(A h')                   for each list: left, right, insert and, optionally, no-op
    v  = sigmoid(D h')                   for each list: what an insertion puts in

    l'[i] = a_left * l[i - 1] + a_right * l[i + 1] + a_insert * n[i] + a_noop * l[i]
    n[i]  = v at the head, l[i + 1] to the left of it, l[i] to the right of it

The doubly linked list of Joulin & Mikolov 2015, "Inferring algorithmic patterns with
stack-augmented recurrent nets": a memory that is read and written in the middle. The head stays
where it is, at the middle of the N cells, and the list moves past it; an insertion pushes what
stood at the head to its left. In all else it is the stack-augmented network of ``stack.py``.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from charrnn.cells.stack import EMPTY, StackRNN


class ListRNN(StackRNN):
    """List-augmented network; the equations head this file.

    Its state is (h, l): h (B, H), and S lists of N cells, l (B, S, N). The shapes of its weights
    and its arguments are those of :class:`StackRNN`, with k = 3 elements read from each list and
    the actions in the order left, right, insert, no-op.
    """

    actions = ("left", "right", "insert")
    read = 3

    @property
    def parts(self) -> tuple[str, ...]:
        return ("h", "lists")

    def _look(self, stacks: Tensor) -> Tensor:
        head = self.stack_depth // 2
        return stacks[..., head - 1 : head + 2]

    def _moves(self, stacks: Tensor, value: Tensor) -> tuple[Tensor, ...]:
        head = self.stack_depth // 2
        left = nn.functional.pad(stacks[..., :-1], (1, 0), value=EMPTY)
        right = nn.functional.pad(stacks[..., 1:], (0, 1), value=EMPTY)
        inserted = torch.cat((right[..., :head], value, stacks[..., head + 1 :]), dim=-1)
        return left, right, inserted, stacks
