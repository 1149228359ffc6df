"""A transformer that is trained as nanoGPT says to be on a CPU, for as many minutes.

The shape and the settings are those of its README for a CPU (4 layers of 128, 4 heads, batches of
12, AdamW at 1e-3 that falls to 1e-4 along a cosine, no dropout), with contexts of 128 characters
and a number of steps that fits the time.
"""

from __future__ import annotations

import math
import time

import torch
from torch import Tensor, nn
from torch.nn import functional

CONTEXT = 128

_LAYERS, _HEADS, _UNITS, _BATCH = 4, 4, 128, 12
_RATE, _LEAST_RATE, _WARMUP_STEPS, _DECAY, _CLIP = 1e-3, 1e-4, 100, 0.1, 1.0
_WINDOWS_AT_ONCE = 64


class Block(nn.Module):
    """Causal attention, then a layer four times as wide, each beside what it adds to."""

    def __init__(self) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(_UNITS, bias=False) for _ in range(2))
        self.queries_keys_values = nn.Linear(_UNITS, 3 * _UNITS, bias=False)
        self.joined = nn.Linear(_UNITS, _UNITS, bias=False)
        self.wide = nn.Linear(_UNITS, 4 * _UNITS, bias=False)
        self.narrow = nn.Linear(4 * _UNITS, _UNITS, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, T, units) to the same shape."""
        parts = self.queries_keys_values(self.norms[0](x)).chunk(3, -1)
        q, k, v = (part.unflatten(-1, (_HEADS, -1)).transpose(1, 2) for part in parts)
        attended = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.joined(attended.transpose(1, 2).flatten(2))
        added: Tensor = self.narrow(functional.gelu(self.wide(self.norms[1](x))))
        return x + added


class Transformer(nn.Module):
    """Characters and their places embedded, blocks, and a head that shares the embedding."""

    def __init__(self, characters: int) -> None:
        super().__init__()
        self.characters = nn.Embedding(characters, _UNITS)
        self.places = nn.Embedding(CONTEXT, _UNITS)
        self.blocks = nn.Sequential(*(Block() for _ in range(_LAYERS)))
        self.norm = nn.LayerNorm(_UNITS, bias=False)
        for name, weight in self.named_parameters():
            if weight.dim() == 2:
                last = name.endswith(("joined.weight", "narrow.weight"))
                nn.init.normal_(weight, std=0.02 / (math.sqrt(2 * _LAYERS) if last else 1))

    def forward(self, ids: Tensor) -> Tensor:
        """Map ids (B, T) to logits (B, T, V)."""
        x = self.characters(ids) + self.places(torch.arange(ids.shape[1]))
        logits: Tensor = self.norm(self.blocks(x)) @ self.characters.weight.T
        return logits


def _rate_at(step: int, share: float) -> float:
    """The learning rate where a share of the time is over."""
    rate = _LEAST_RATE + (_RATE - _LEAST_RATE) * (1 + math.cos(math.pi * min(share, 1))) / 2
    return rate * min(1.0, (step + 1) / _WARMUP_STEPS)


def train_transformer(learnt: Tensor, characters: int, minutes: float, seed: int) -> Transformer:
    """Train on windows drawn from a text of ids (N,) for some minutes."""
    torch.manual_seed(seed)
    model = Transformer(characters)
    matrices = [weight for weight in model.parameters() if weight.dim() == 2]
    others = [weight for weight in model.parameters() if weight.dim() != 2]
    groups = [
        {"params": matrices, "weight_decay": _DECAY},
        {"params": others, "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=_RATE, betas=(0.9, 0.99))
    began, step, steps = time.perf_counter(), 0, torch.arange(CONTEXT + 1)
    while (share := (time.perf_counter() - began) / (60 * minutes)) < 1:
        for group in optimizer.param_groups:
            group["lr"] = _rate_at(step, share)
        at = torch.randint(len(learnt) - CONTEXT, (_BATCH, 1)) + steps
        window = learnt[at]
        logits = model(window[:, :-1]).flatten(0, 1)
        loss = functional.cross_entropy(logits, window[:, 1:].flatten())
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(model.parameters(), _CLIP)
        optimizer.step()
        step += 1
    return model.eval()


@torch.inference_mode()
def score_transformer(model: Transformer, text: Tensor) -> float:
    """Nats per character of a text of ids (N,), in windows that follow one another."""
    whole = (len(text) - 1) // CONTEXT * CONTEXT
    read, targets = (text[n : n + whole].view(-1, CONTEXT) for n in (0, 1))
    nats = 0.0
    for at in range(0, len(read), _WINDOWS_AT_ONCE):
        own, following = (part[at : at + _WINDOWS_AT_ONCE] for part in (read, targets))
        logits = model(own).flatten(0, 1)
        nats += functional.cross_entropy(logits, following.flatten(), reduction="sum").item()
    return nats / whole
