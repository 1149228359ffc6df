"""Text in, ids out: readers, records, alphabets, corpora, batches, the catalogue."""
