"""Estimate the noise rate and the noise matrix of a corpus with several estimators, before training.

    python recipes/estimate_noise.py --data PATH_OR_NAME --model PATH_OR_NAME --output noise.json

encodes the training texts with the frozen encoder, predicts each given label out of fold, and runs every estimator
whose inputs exist. It prints a table of rates, the rate that is chosen from them, and the likely kind of the wrong
labels. An audit reports the same rate and kind. If the wrong labels follow a rule, the true rate may be far above all
estimates. noise.json holds the same results and each matrix. The given labels are the majority vote of the sources, as
in the benchmark. A figure of the matrices, with the true matrix from gold labels next to them:

    python recipes/estimate_noise.py --data PATH_OR_NAME --model PATH_OR_NAME --figure noise.png --gold True

Without --data it runs on the embedded reviews, without --model on a bag of words. `hf-noisy estimate` does the same.
"""

from __future__ import annotations

import sys

from hf_noisy.commands.arguments import EstimateArguments
from hf_noisy.commands.estimate import run
from hf_noisy.common.launching import parse_arguments
from hf_noisy.common.script import run_script


def main() -> None:
    (given,) = parse_arguments([EstimateArguments], description=__doc__)
    run(given)


if __name__ == "__main__":
    sys.exit(run_script(__file__, main))
