"""Train a classifier of reviews on the votes of labeling functions, robust to their wrong labels.

    accelerate launch recipes/sentiment.py

`hf-noisy train` does the same. The recipe generates short reviews and applies 13 labeling functions to them. It prints
the error rate of the votes, and the test accuracy of majority vote, of Snorkel's label model, of cross-entropy on the
votes, of the robust method on the same votes, and of cross-entropy on true labels. The robust model and the table are
saved to --output_dir. It needs no download and ends within 5 minutes on two cores. Other data, encoders, seeds, methods:

    accelerate launch recipes/sentiment.py --dataset my.csv --model_name_or_path PATH_OR_NAME --seeds 0 1 2
    accelerate launch recipes/sentiment.py --noise_method sce --noise_kwargs '{"alpha": 0.1}'
    accelerate launch recipes/sentiment.py --config recipes/configs/sentiment.yaml

Two processes on a machine without a GPU need both of these options:

    accelerate launch --multi_gpu --num_processes 2 recipes/sentiment.py --use_cpu True

Each step is a method of `hf_noisy.recipe.Recipe`, which a recipe of your own may override.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass

from hf_noisy.common.script import run_script
from hf_noisy.recipe import Recipe, RecipeTrainingArguments, setting


@dataclass
class SentimentArguments(RecipeTrainingArguments):
    """Training arguments with another output folder; --help_all lists every field."""

    output_dir: str = setting("output_dir", "output/sentiment", "--output")


class Sentiment(Recipe):
    """Trains on reviews with the votes of 13 labeling functions, or on a given corpus."""

    training_arguments = SentimentArguments


if __name__ == "__main__":
    sys.exit(run_script(__file__, lambda: Sentiment.main(description=__doc__)))
