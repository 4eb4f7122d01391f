"""Estimate how many labels are wrong, and which classes are confused, before any training.

    python recipes/estimate_noise.py --data my.csv --output noise.json

`hf-noisy estimate` does the same. The recipe predicts each label by a classifier that did not see it, and runs every
estimator whose inputs exist. It prints a table of rates, the rate that is chosen from them, and the likely kind of the
wrong labels. An audit reports the same rate and kind. If the wrong labels follow a rule, the true rate may be far above
all estimates. noise.json holds the same results and each matrix. A figure of the matrices, beside the true one:

    python recipes/estimate_noise.py --data my.csv --gold_column gold --gold --figure noise.png

If there are several sources of labels, the given label is their majority vote. Texts are encoded by the encoder of
--model, which is not trained. Without --model, word features are used. Without --data, the recipe runs on generated
reviews.
"""

from __future__ import annotations

import sys

from hf_noisy.commands.arguments import GROUPS, EstimateArguments
from hf_noisy.commands.estimate import run
from hf_noisy.common.launching import parse_arguments
from hf_noisy.common.script import run_script


def main() -> None:
    (given,) = parse_arguments([EstimateArguments], description=__doc__, groups=GROUPS)
    run(given)


if __name__ == "__main__":
    sys.exit(run_script(__file__, main))
