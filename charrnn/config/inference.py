"""Settings of inference: computing with a trained model, and sampling from it."""

from __future__ import annotations

from dataclasses import dataclass

from charrnn.config.settings import Config, setting

WEIGHTS = ("auto", "fp32", "bf16", "int8")
UNKNOWN_CHOICES = ("error", "skip", "replace")

UNITS = ("line", "record", "character", "window")
"""Units of a text that can be scored."""

WINDOW = 100
"""Characters of a window that is scored, if nothing else is said."""


@dataclass(frozen=True)
class UseConfig(Config):
    """The weights and threads with which a trained model computes."""

    weights: str = setting(
        "auto",
        "Precision of the weights: fp32, exact; bf16, rounded, and the activations too; int8, "
        "rounded row by row. auto: bf16 to sample, fp32 to score. Without the native library auto "
        "is fp32, and the others round the weights only.",
        choices=WEIGHTS,
    )
    threads: int | None = setting(
        None,
        "Processor threads to compute with.",
        least=1,
        most=1024,
        otherwise="all; 1 for a single sample",
    )


@dataclass(frozen=True)
class ReadConfig(Config):
    """Reading and scoring of a text by a trained model."""

    unknown: str = setting(
        "error", "Treatment of characters that the model does not know.", choices=UNKNOWN_CHOICES
    )
    reset_every: int | None = setting(
        None, "Also score with the state reset after this many characters.", least=1
    )


@dataclass(frozen=True)
class UnitConfig(Config):
    """The units of a text that is scored, and the way it is read."""

    by: str | None = setting(
        None, "Unit to score.", choices=UNITS, otherwise="line; record for a model of records"
    )
    window: int | None = setting(None, "Characters of each window.", least=1, otherwise=str(WINDOW))
    carried: bool | None = setting(
        None,
        "Read the text as one, or each line by itself.",
        otherwise="each line by itself if lines are scored; each record in any case",
    )


@dataclass(frozen=True)
class SampleConfig(Config):
    """The length, number and filters of samples."""

    temperature: float = setting(
        1.0, "Temperature; 0 always takes the likeliest character.", least=0.0, most=100.0
    )
    length: int = setting(500, "Characters to draw for each sample.", least=0, most=10**12)
    top_k: int = setting(
        0, "Draw among the K likeliest characters only; 0 is all.", least=0, most=2**31
    )
    top_p: float = setting(
        1.0, "Draw among the likeliest that together reach P.", least=0.0, most=1.0
    )
    min_p: float = setting(
        0.0, "Drop characters below P times the likeliest one's share.", least=0.0, most=1.0
    )
    count: int = setting(1, "Samples to draw.", least=1, most=10**6)
    stop: tuple[str, ...] = setting((), "End a sample before this text; may be repeated.")
