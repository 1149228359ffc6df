"""The optimizers that this build of torch has."""

import torch

from charrnn.config.training import OPTIMIZERS

OPTIMIZERS_HERE = [
    name for name in OPTIMIZERS if name != "muon" or hasattr(torch.optim, name.capitalize())
]
HAS_MUON = "muon" in OPTIMIZERS_HERE
