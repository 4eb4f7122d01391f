"""From texts and labeling functions to a classifier that withstood their mistakes, and the evidence that it did.

    accelerate launch recipes/sentiment.py

writes short reviews, lets labeling functions vote on them, and prints how often these are wrong and what gold test labels
say of majority vote, Snorkel's label model, cross-entropy on the votes, the robust method on the same votes, and
cross-entropy on gold labels. It needs no download and ends within 5 minutes on two cores. The robust model is saved into
--output_dir, the table beside it. Any corpus and encoder, several seeds, any method:

    accelerate launch recipes/sentiment.py --dataset PATH_OR_NAME --model_name_or_path PATH_OR_NAME --seeds 0 1 2
    accelerate launch recipes/sentiment.py --noise_method sce --noise_kwargs '{"alpha": 0.1}'
    accelerate launch recipes/sentiment.py --config recipes/configs/sentiment.yaml

On two processes of a machine without a GPU (both flags are needed):

    accelerate launch --multi_gpu --num_processes 2 recipes/sentiment.py --use_cpu True

Its steps are those of `hf_noisy.recipe.Recipe`, each a method that a recipe of your own may override; `hf-noisy train` does
the same.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass

from hf_noisy.common.script import run_script
from hf_noisy.recipe import Recipe, RecipeTrainingArguments, setting


@dataclass
class SentimentArguments(RecipeTrainingArguments):
    """Where the model goes; --help_all lists every field."""

    output_dir: str = setting("output_dir", "output/sentiment", "--output")


class Sentiment(Recipe):
    """Reviews with the votes of 13 labeling functions, unless a corpus is named."""

    training_arguments = SentimentArguments


if __name__ == "__main__":
    sys.exit(run_script(__file__, lambda: Sentiment.main(description=__doc__)))
