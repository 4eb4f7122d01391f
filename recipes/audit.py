"""Find labels that look wrong, and estimate how many there are and of what kind.

    python recipes/audit.py --data PATH_OR_NAME --model PATH_OR_NAME --output DIR

encodes the training texts once with the frozen encoder. It writes DIR/report.html, a page for the browser, and
DIR/audit.jsonl with one JSON object per labelled row: id, label, wrongness, suggested_label, suggested_probability,
reasons. Rows on which every source abstains are left out. `hf_noisy.audit.apply_decisions` applies the decisions that
are exported from the page. The given labels are the majority vote of the sources, with ties broken at random, as in the
benchmark. Gold labels are read only with `--gold True`, to evaluate the result.

Without --data it runs on the embedded reviews, without --model on a bag of words. `hf-noisy audit` does the same.
"""

from __future__ import annotations

import shlex
import sys

from hf_noisy.commands.arguments import AuditArguments
from hf_noisy.commands.audit import run
from hf_noisy.common.launching import parse_arguments
from hf_noisy.common.script import run_script


def main() -> None:
    (given,) = parse_arguments([AuditArguments], description=__doc__)
    run(given, shlex.join(["python", "recipes/audit.py", *sys.argv[1:]]))


if __name__ == "__main__":
    sys.exit(run_script(__file__, main))
