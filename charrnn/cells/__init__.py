"""Recurrent cells, one file each, and the registry that names them."""

from charrnn.cells.contract import Cell
from charrnn.cells.gru import GRU
from charrnn.cells.lstm import LSTM
from charrnn.cells.rnn import RNN

REGISTRY: dict[str, type[Cell]] = {"lstm": LSTM, "gru": GRU, "rnn": RNN}
