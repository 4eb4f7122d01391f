"""How wrong are my labels? What several estimators say of a corpus, before anything is trained on it.

    python recipes/estimate_noise.py --data PATH_OR_NAME --model PATH_OR_NAME --output noise.json

encodes the training texts with the frozen encoder, predicts each given label from them out of fold, asks every estimator that
has what it needs, and prints a table of rates, what is taken of them, and of what kind the mistakes seem to be: where they follow a
rule, the true rate may be far above. It is what an audit says too. noise.json holds the same, with each matrix. Given labels are the majority vote of the sources, as in
the benchmark. A picture of the matrices, next to the true one where gold labels may be read for measuring:

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
