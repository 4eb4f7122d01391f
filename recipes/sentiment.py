"""Train a classifier on the votes of labeling functions, robust to their wrong labels, and compare it with baselines.

    accelerate launch recipes/sentiment.py

generates short reviews and applies labeling functions to them. It prints the error rate of the votes, and the test
accuracy of majority vote, Snorkel's label model, cross-entropy on the votes, the robust method on the same votes, and
cross-entropy on gold labels. It needs no download and ends within 5 minutes on two cores. The robust model and the
table are saved to --output_dir. Any corpus and encoder, several seeds, any method:

    accelerate launch recipes/sentiment.py --dataset PATH_OR_NAME --model_name_or_path PATH_OR_NAME --seeds 0 1 2
    accelerate launch recipes/sentiment.py --noise_method sce --noise_kwargs '{"alpha": 0.1}'
    accelerate launch recipes/sentiment.py --config recipes/configs/sentiment.yaml

On two processes of a machine without a GPU (both flags are needed):

    accelerate launch --multi_gpu --num_processes 2 recipes/sentiment.py --use_cpu True

Its steps are the methods of `hf_noisy.recipe.Recipe`, and a custom recipe may override each of them. `hf-noisy train`
does the same.
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
