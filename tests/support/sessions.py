"""A training session from a request that leaves device and precision open."""

from dataclasses import replace

from charrnn.data.corpus import Corpus, SplitCorpus
from charrnn.models.device import settle_compute
from charrnn.training import session
from charrnn.training.fine_tuning import Transfer
from charrnn.training.run_config import Request


def begin(
    request: Request, corpus: Corpus, name: str, start: Transfer | None = None
) -> session.Session:
    """Settle how to compute, split the corpus and make a fresh session."""
    settled = replace(request, compute=settle_compute(request.compute, request.model))
    split = SplitCorpus.of(corpus, request.train.valid)
    return session.begin_session(settled, split, name, start)
