"""The table of what was tried and did not help: shares and gains from the files, reasons in words."""

from __future__ import annotations

from dataclasses import dataclass

from evidence_cells import gain_of, gap_of, markdown_table, said_points, said_share, section_of


@dataclass(frozen=True)
class Tried:
    """Methods of one idea, the file that has their runs, and why they did not help, as far as is known."""

    idea: str
    methods: tuple[str, ...]
    file: str
    why: str


_SAME = "Same reason as for bounded losses."
TRIED = (
    Tried(
        "Bounded losses",
        ("gce", "mae", "nce_mae", "nce_rce", "sce"),
        "results",
        "A rule is as easy to learn as the truth, so labels that are hard to learn are not the wrong ones. In few steps, a bounded "
        "loss also stays at the most frequent class.",
    ),
    Tried("Leave out labels with a low probability", ("gce_truncated",), "results", _SAME),
    Tried(
        "Mix the label with the prediction",
        ("bootstrap_soft", "bootstrap_hard"),
        "results",
        "The prediction has learned the rule.",
    ),
    Tried(
        "Filter by confident learning, then train again",
        ("cleanlab",),
        "results",
        "Out-of-fold predictions come from other rows that the same rule labelled.",
    ),
    Tried(
        "Keep small losses",
        ("co_teaching", "co_teaching_plus", "jocor", "mentornet_pd"),
        "h100",
        "Rows with a small loss are those with the words of the rule. Half of each batch is too little for 950 rows of uneven classes.",
    ),
    Tried(
        "Remove the label of large losses",
        ("dividemix", "selfmix"),
        "h100",
        "The same, and one or two of the three epochs are warm-up.",
    ),
    Tried("Hold predictions to earlier ones", ("elr",), "h100", "The rule is learned in the first epoch."),
    Tried(
        "Noise layers and matrices",
        ("noise_adaptation", "noise_adaptation_complex", "forward", "backward"),
        "h100",
        "The labels are not random given the class, so no matrix describes them.",
    ),
    Tried(
        "A matrix by trusted rows (reads gold)",
        ("glc",),
        "h100",
        "Partly the choice of its epoch by noisy validation labels, which prefers earlier epochs than the best one.",
    ),
    Tried(
        "Weights learned from trusted rows (reads gold)",
        ("mentornet_dd",),
        "h100",
        "Losses do not show which labels are wrong, whatever learns from them.",
    ),
    Tried(
        "Pseudo-labels and self-training",
        ("pseudo_labeling", "self_training"),
        "doubted",
        "The model has learned the mistakes before it labels rows.",
    ),
    Tried("Two views of a text", ("consistency",), "doubted", "It smooths what the rule taught."),
    Tried(
        "Hide the words of rules", ("rule_masking",), "doubted", "Short texts lose the words that carry their meaning."
    ),
    Tried(
        "Move labels to the average prediction",
        ("label_correction",),
        "doubted",
        "Seeds change the result more than the method does.",
    ),
    Tried(
        "All voted classes as candidates",
        ("candidate_labels",),
        "doubted",
        "On `trec`, 68 rules vote for many classes, and the model learns these.",
    ),
    Tried("Average the weights", ("model_average",), "doubted", "About 90 steps are few to average over."),
    Tried(
        "Soften all labels",
        ("label_smoothing", "uniform_mixture"),
        "results",
        "The labels are not wrong at random. `uniform_mixture` gains on `youtube` alone.",
    ),
    Tried(
        "Leave out labels that similar texts contradict",
        ("neighbours",),
        "doubted",
        "It helps, but `truth_inference` gains more from the same vectors.",
    ),
)


def table() -> str:
    """What was tried, the method, the share of the gap that it recovered, its gain, and why."""
    rows = []
    for tried in TRIED:
        section = section_of(tried.file)
        for k, method in enumerate(tried.methods):
            rows.append(
                [
                    "" if k else tried.idea,
                    f"`{method}`",
                    said_share(gap_of(section, method).mean),
                    said_points(gain_of(section, method)).replace(" points", ""),
                    "" if k else tried.why,
                    "" if k else f"`{tried.file}`",
                ]
            )
    return markdown_table(["idea", "method", "gap recovered", "gain, points", "why, as far as known", "file"], rows)
