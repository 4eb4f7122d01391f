"""Find labels that look wrong, and estimate how many there are and of what kind.

    python recipes/audit.py --data my.csv --output audit

`hf-noisy audit` does the same. The recipe writes audit/report.html, a page for the browser, and audit/audit.jsonl with
one JSON object per labelled row: id, label, wrongness, suggested_label, suggested_probability, reasons. Rows without a
label are left out. If there are several sources of labels, the given label is their majority vote, with ties broken at
random. `hf_noisy.audit.apply_decisions` applies the decisions that are exported from the page.

Texts are encoded once, by the encoder of --model, which is not trained. Without --model, word features are used.
Without --data, the recipe runs on generated reviews. True labels are read only with --gold, to measure the result.
"""

from __future__ import annotations

import shlex
import sys

from hf_noisy.commands.arguments import GROUPS, AuditArguments
from hf_noisy.commands.audit import run
from hf_noisy.common.launching import parse_arguments
from hf_noisy.common.script import run_script


def main() -> None:
    (given,) = parse_arguments([AuditArguments], description=__doc__, groups=GROUPS)
    run(given, shlex.join(["python", "recipes/audit.py", *sys.argv[1:]]))


if __name__ == "__main__":
    sys.exit(run_script(__file__, main))
