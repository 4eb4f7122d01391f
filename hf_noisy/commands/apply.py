"""The command `apply`: applies the decisions of a review to the table that was audited."""

from __future__ import annotations

from hf_noisy.audit import apply_decisions
from hf_noisy.commands.arguments import ApplyArguments


def run(given: ApplyArguments) -> None:
    """Apply the decisions, write the table and say what was done.

    Args:
        given: the options.

    Raises:
        ValueError, FileNotFoundError: see `apply_decisions`; also if an option is missing.
    """
    data, decisions, output = given.data, given.decisions, given.output
    for option, value in (("data", data), ("decisions", decisions), ("output", output)):
        if not value:
            raise ValueError(
                f"--{option} is missing: expected a table, decisions and an output, as in `hf-noisy apply my.csv --decisions "
                "decisions.csv --output corrected.csv`."
            )
    done = apply_decisions(
        list(data or ()),
        str(decisions),
        output=str(output),
        text_column=given.text_column,
        label_column=given.label_column,
        id_column=given.id_column,
        original_column=given.original_column,
        separator=given.separator,
        encoding=given.encoding,
        header=given.header,
        sheet=given.sheet,
    )
    print(
        f"{done.output}: {done.rows:,} rows; {done.changed:,} labels changed, {done.kept:,} kept, {done.dropped:,} rows dropped"
    )
