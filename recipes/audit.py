"""Which labels look wrong, how many, and of what kind: a page to look at, and a line for each label.

    python recipes/audit.py --data PATH_OR_NAME --model PATH_OR_NAME --output DIR

encodes the training texts with the frozen encoder, once, and writes DIR/report.html, to be opened in a browser, and
DIR/audit.jsonl, a JSON object a labelled row: id, label, wrongness, suggested_label, suggested_probability, reasons. Rows on
which every source abstains are left out. Decisions that are exported from the page are applied by
`hf_noisy.audit.apply_decisions`. Given labels are the majority vote of the sources, ties by lot, as in the benchmark; no gold
label is read, but for measuring, where `--gold True` asks for it.

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
