"""Recurrent networks with differentiable stacks or doubly linked lists beside their units.

Both are of Joulin & Mikolov 2015, "Inferring algorithmic patterns with stack-augmented recurrent
nets". Every action is taken in proportion to its probability, so that the whole is differentiable;
outside training the likeliest action may be taken alone.
"""

from __future__ import annotations

from typing import Unpack

import torch
from torch import Tensor, nn

from charrnn.config.cells import Shapes
from charrnn.models.cells.base import ACTIVATIONS, GatedCell, GateSettings, State

EMPTY = -1.0
"""The value of an element that holds nothing."""


class StackRNN(GatedCell):
    """Stack-augmented recurrent network.

        q  = the k = 2 topmost elements of every stack, before the step
        h' = f(U x + W h + P q + b)
        a  = softmax(A h')                       for each stack: push, pop and, optionally, no-op
        v  = sigmoid(D h')                       for each stack: the value that a push puts on top

        s'[0] = a_push * v        + a_pop * s[1]     + a_noop * s[0]
        s'[i] = a_push * s[i - 1] + a_pop * s[i + 1] + a_noop * s[i]

    An empty element is -1, and -1 moves in from below as a stack is popped; an element pushed
    beyond the last place is lost.

    The state is (h, s): h (B, H), and S stacks of N elements, the top first, s (B, S, N).

    Shapes: input_weight U (H, D), recurrent_weight W (H, H), bias b (H); stack_weight P (H, kS), a
    stack's k elements side by side; action_weight A (KS, H), a stack's K actions side by side in
    the order push, pop, no-op; push_weight D (S, H).

    Source: Joulin & Mikolov 2015, "Inferring algorithmic patterns with stack-augmented recurrent
    nets". The experiments of their own program leave W out, so that the stacks alone carry
    information from step to step.

    Args:
        input_size: length D of an input vector.
        hidden: length H of an output vector.
        shapes: of the parameters, from the registry.
        activation: f, "tanh", "relu" or "sigmoid".
        stacks: S.
        stack_depth: N, at least k.
        stack_only: whether W is left out.
        stack_noop: whether no-op is an action.
        stack_round: whether the likeliest action alone is taken outside training.
        common: see :class:`GateSettings`.

    Example:
        >>> import torch
        >>> from charrnn.config.model import ModelConfig
        >>> from charrnn.models.char_model import build_cell
        >>> config = ModelConfig(cell="stack", hidden=5, stacks=4, stack_depth=6)
        >>> cell = build_cell(config, input_size=3)
        >>> y, (h, stacks) = cell(torch.zeros(7, 2, 3), cell.initial_state(2))
        >>> tuple(y.shape), tuple(h.shape), tuple(stacks.shape)
        ((7, 2, 5), (2, 5), (2, 4, 6))
    """

    stack_weight: nn.Parameter
    action_weight: nn.Parameter
    push_weight: nn.Parameter

    actions: tuple[str, ...] = ("push", "pop")

    def __init__(
        self,
        input_size: int,
        hidden: int,
        shapes: Shapes,
        *,
        activation: str,
        stacks: int,
        stack_depth: int,
        stack_only: bool,
        stack_noop: bool,
        stack_round: bool,
        **common: Unpack[GateSettings],
    ) -> None:
        super().__init__(input_size, hidden, shapes, **common)
        self.activation = activation
        self.stack_only = stack_only
        self.stacks = stacks
        self.stack_depth = stack_depth
        self.stack_round = stack_round
        if stack_noop:
            self.actions = (*self.actions, "no-op")

    @property
    def parts(self) -> tuple[str, ...]:
        return ("h", "stacks")

    def initial_state(self, batch: int) -> State:
        h = self._zeros(batch, self.hidden)
        return (h, h.new_full((batch, self.stacks, self.stack_depth), EMPTY))

    def forward(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        h, stacks = state
        activate = ACTIVATIONS[self.activation]
        outputs = []
        for projected in self.project(x):
            inward = projected + nn.functional.linear(
                self._look(stacks).flatten(1), self.stack_weight
            )
            if not self.stack_only:
                inward = inward + nn.functional.linear(h, self.recurrent_weight)
            h = activate(inward)
            value = nn.functional.linear(h, self.push_weight).sigmoid()[..., None]
            shares = self._choose(h)[..., None].unbind(-2)
            moved = zip(shares, self._moves(stacks, value.to(stacks.dtype)), strict=False)
            stacks = sum((share * after for share, after in moved), torch.zeros_like(stacks))
            outputs.append(h)
        return torch.stack(outputs), (h, stacks)

    def gates(self, x: Tensor, outputs: Tensor) -> dict[str, Tensor]:  # noqa: ARG002
        return dict(zip(self.actions, self._choose(outputs[1:]).unbind(-1), strict=True))

    def _look(self, stacks: Tensor) -> Tensor:
        """Take the elements that are read: (B, S, N) -> (B, S, k)."""
        return stacks[..., :2]

    def _moves(self, stacks: Tensor, value: Tensor) -> tuple[Tensor, ...]:
        """Apply each action to the stacks (B, S, N), with a value (B, S, 1) to push."""
        pushed = torch.cat((value, stacks[..., :-1]), dim=-1)
        popped = nn.functional.pad(stacks[..., 1:], (0, 1), value=EMPTY)
        return pushed, popped, stacks

    def _choose(self, h: Tensor) -> Tensor:
        """Compute the probability of each action: (..., H) -> (..., S, K)."""
        scores = nn.functional.linear(h, self.action_weight)
        scores = scores.view(*scores.shape[:-1], self.stacks, len(self.actions))
        if self.stack_round and not self.training:
            likeliest = scores.argmax(-1)
            return nn.functional.one_hot(likeliest, len(self.actions)).to(scores)
        return scores.softmax(-1)


class ListRNN(StackRNN):
    """List-augmented recurrent network: a memory that is read and written in the middle.

        q  = the element at the head of every list and its two neighbors, before the step
        h' = f(U x + W h + P q + b)
        a  = softmax(A h')               for each list: left, right, insert and, optionally, no-op
        v  = sigmoid(D h')               for each list: the value that an insertion puts in

        l'[i] = a_left * l[i - 1] + a_right * l[i + 1] + a_insert * n[i] + a_noop * l[i]
        n[i]  = v at the head, l[i + 1] to the left of it, l[i] to the right of it

    The head stays where it is, in the middle of the N elements, and the list moves past it; an
    insertion pushes the element at the head to its left.

    The state is (h, l): h (B, H), and S lists of N elements, l (B, S, N).

    Shapes: those of :class:`StackRNN`, with k = 3 elements read from each list and the actions in
    the order left, right, insert, no-op.

    Source: the doubly linked list of Joulin & Mikolov 2015, "Inferring algorithmic patterns with
    stack-augmented recurrent nets".

    Its arguments are those of :class:`StackRNN`, of lists where that says stacks.

    Example:
        >>> import torch
        >>> from charrnn.config.model import ModelConfig
        >>> from charrnn.models.char_model import build_cell
        >>> config = ModelConfig(cell="list", hidden=5, stacks=4, stack_depth=6)
        >>> cell = build_cell(config, input_size=3)
        >>> y, (h, lists) = cell(torch.zeros(7, 2, 3), cell.initial_state(2))
        >>> tuple(y.shape), tuple(h.shape), tuple(lists.shape)
        ((7, 2, 5), (2, 5), (2, 4, 6))
    """

    actions = ("left", "right", "insert")

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
