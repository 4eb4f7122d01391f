"""Label audit: finds labels that look wrong, estimates the noise, writes a report, applies a reviewer's decisions."""

from hf_noisy.audit.content import (
    KINDS,
    AuditContent,
    Curve,
    LossMixture,
    Noise,
    Pattern,
    Recommendation,
    Reproduction,
    Source,
)
from hf_noisy.audit.corrected_files import Applied
from hf_noisy.audit.decision_files import Decision, read_decisions
from hf_noisy.audit.decisions import apply_decisions
from hf_noisy.audit.exports import (
    argilla_records,
    label_studio_config,
    label_studio_tasks,
    score_rows,
    write_argilla,
    write_label_studio,
    write_scores,
)
from hf_noisy.audit.labels import audit_labels
from hf_noisy.audit.report import write_report
from hf_noisy.audit.rows import AuditedRows
from hf_noisy.audit.scorers import SCORERS

__all__ = [
    "KINDS",
    "SCORERS",
    "Applied",
    "AuditContent",
    "AuditedRows",
    "Curve",
    "Decision",
    "LossMixture",
    "Noise",
    "Pattern",
    "Recommendation",
    "Reproduction",
    "Source",
    "apply_decisions",
    "argilla_records",
    "audit_labels",
    "label_studio_config",
    "label_studio_tasks",
    "read_decisions",
    "score_rows",
    "write_argilla",
    "write_label_studio",
    "write_report",
    "write_scores",
]
