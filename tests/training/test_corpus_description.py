"""The description of a corpus agrees with the measurements that it gathers."""

from pathlib import Path

from charrnn.data.corpus import SplitCorpus, fit_corpus
from charrnn.data.statistics import count_characters, measure_copied_share, measure_layout
from charrnn.evaluation.baselines import COMPRESSORS, ORDERS
from charrnn.training.corpus_description import describe_split


def test_a_corpus_is_described_whole_and_its_held_out_part_by_the_rest(text_file: Path) -> None:
    corpus = fit_corpus([text_file])
    split = SplitCorpus.of(corpus, 0.1)
    found = describe_split("herons", split, None)
    assert (found.name, found.corpus, found.suggested) == ("herons", corpus, None)
    assert found.characters == count_characters(corpus.ids, corpus.alphabet)
    assert found.layout == measure_layout(corpus.ids, corpus.alphabet)
    assert found.copied_share == measure_copied_share(split.train.ids, split.held_out.ids)
    assert (found.baselines.learnt, found.baselines.scored) == (
        len(split.train),
        len(split.held_out),
    )
    assert len(found.baselines.ngrams) == ORDERS
    assert set(found.baselines.compressors) == set(COMPRESSORS)
