"""The English base model: ``python -m tests.base_model BOOKS [--minutes M]``.

BOOKS is a tar archive of public-domain books. Writes their text, trains the model or goes on with a
run that was interrupted, and packs the best model into ``corpora/english.safetensors``.
"""

from __future__ import annotations

import argparse
import hashlib
import subprocess
import sys
from pathlib import Path

import charrnn
from charrnn.checkpoints.checkpoint import write_checkpoint
from charrnn.checkpoints.model_file import read_model
from charrnn.training.validation import MOST_SCORED
from tests.base_model import books
from tests.base_model.card import write_card

BUILD = Path("build/base")
MODEL, CARD = Path("corpora/english.safetensors"), Path("corpora/english.md")
SEED = 1
MINUTES = 240.0
SETTINGS = {
    "lstm-gates": "coupled",
    "layers": 2,
    "hidden": 576,
    "batch": 48,
    "window": 128,
    "dropout": 0.0,
    "weight-drop": 0.0,
    "weight-decay": 0.01,
    "lr": 0.005,
}


def write_texts(archive: Path, path: Path, held_out_path: Path) -> float:
    """Write all books to a text, those held out last and also by themselves.

    Returns:
        The share of the characters that are held out.
    """
    learnt, held_out = books.order_books(books.read_books(archive), SEED)
    length = 0
    with path.open("w", encoding="utf-8") as stream:
        for text in books.dress_books(learnt, SEED):
            length += stream.write(text)
        last = "".join(books.dress_books(held_out, SEED))
        stream.write(last)
    held_out_path.write_text(last, encoding="utf-8")
    return len(last) / (length + len(last))


def digest_sources(archive: Path) -> str:
    """Compute SHA-256 of the archive and of the code that makes the text."""
    digest = hashlib.sha256()
    for path in (archive, Path(books.__file__)):
        with path.open("rb") as stream:
            digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()


def main() -> int:
    """Make the model."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("books", type=Path)
    parser.add_argument("--minutes", type=float, default=MINUTES)
    options = parser.parse_args()
    # What was begun with other books, or made otherwise, is left where it is.
    build = BUILD / digest_sources(options.books)[:12]
    run, text, share, held_out = (
        build / name for name in ("run", "books.txt", "share", "held-out.txt")
    )
    build.mkdir(parents=True, exist_ok=True)
    if not share.exists():
        share.write_text(repr(write_texts(options.books, text, held_out)))
    command = [sys.executable, "-m", "charrnn", "train"]
    if (run / "last.safetensors").exists():
        command += ["--resume", str(run)]
    else:
        settings = {**SETTINGS, "minutes": options.minutes, "valid": share.read_text()}
        command += [str(text), "--run", str(run), "--overwrite"]
        command += [word for name, value in settings.items() for word in (f"--{name}", str(value))]
    if status := subprocess.run(command, check=False).returncode:
        return status
    model = read_model(run / "best.safetensors")
    write_checkpoint(MODEL, model.to_checkpoint(packed=True))
    scored = build / "scored.txt"
    scored.write_text(held_out.read_text(encoding="utf-8")[:MOST_SCORED], encoding="utf-8")
    nats = {
        name: charrnn.load(file).evaluate(scored).score.nats_per_char
        for name, file in {"float32": run, "8 bits": MODEL}.items()
    }
    card = write_card(model, books.read_books(options.books), nats, MODEL.read_bytes())
    CARD.write_text(card, encoding="utf-8")
    sys.stdout.write(
        f"{MODEL}: {MODEL.stat().st_size:,} bytes; nats per character held out {nats}\n"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
