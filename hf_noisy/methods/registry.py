"""The table of methods: what each name of `noise_method` builds."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

from hf_noisy.common.checks import nearest
from hf_noisy.methods.auto import AutoMethod
from hf_noisy.methods.candidate_labels import CandidateLabels
from hf_noisy.methods.co_teaching import CoTeaching
from hf_noisy.methods.co_teaching_plus import CoTeachingPlus
from hf_noisy.methods.consistency import ConsistencyRegularization
from hf_noisy.methods.dividemix import DivideMix
from hf_noisy.methods.elr import EarlyLearningRegularization
from hf_noisy.methods.gold_loss_correction import GoldLossCorrection
from hf_noisy.methods.jocor import JoCoR
from hf_noisy.methods.label_correction import LabelCorrection
from hf_noisy.methods.loss_correction import BackwardCorrection, ForwardCorrection, UniformNoise
from hf_noisy.methods.mentornet import MentorNet
from hf_noisy.methods.model_average import ModelAverage
from hf_noisy.methods.neighbours import Neighbours
from hf_noisy.methods.noise_adaptation import NoiseAdaptation
from hf_noisy.methods.parts.base import NoiseCallback
from hf_noisy.methods.parts.losses import (
    ActivePassive,
    Bootstrapping,
    CrossEntropy,
    GeneralizedCrossEntropy,
    LabelSmoothing,
    MeanAbsoluteError,
    SymmetricCrossEntropy,
)
from hf_noisy.methods.pseudo_labeling import PseudoLabeling
from hf_noisy.methods.rule_masking import RuleMasking
from hf_noisy.methods.self_training import SelfTraining
from hf_noisy.methods.selfmix import SelfMix
from hf_noisy.methods.truncated_gce import TruncatedGCE
from hf_noisy.methods.truth_inference import TruthInference
from hf_noisy.models.criterion import Criterion


@dataclass(frozen=True)
class Method:
    """A method that `noise_method` can name."""

    build: Callable[..., Criterion | NoiseCallback]
    summary: str  # what it does to an example; completes a sentence that begins with its name
    paper: str  # citation, for the model card
    reads_clean: bool = False  # whether it needs `NoisyTrainer(clean_dataset=...)`
    reads_votes: bool = False  # whether it needs the votes of the sources, a column `weak_labels`
    reads_unlabeled: bool = False  # whether it uses rows on which every source abstained
    keeps_last: bool = False  # whether to keep the last epoch: noisy validation labels choose worse ones

    @property
    def parameters(self) -> dict[str, Any]:
        """Names and defaults of the parameters that `noise_kwargs` may set."""
        fixed = self.build.keywords if isinstance(self.build, partial) else {}
        parameters = inspect.signature(self.build).parameters.values()
        return {p.name: p.default for p in parameters if p.name not in fixed}


_ZHANG = "Zhang and Sabuncu, Generalized Cross Entropy Loss for Training Deep Neural Networks with Noisy Labels, NeurIPS 2018"
_MA = "Ma et al., Normalized Loss Functions for Deep Learning with Noisy Labels, ICML 2020"
_REED = "Reed et al., Training Deep Neural Networks on Noisy Labels with Bootstrapping, ICLR 2015 workshop"
_PATRINI = "Patrini et al., Making Deep Neural Networks Robust to Label Noise: a Loss Correction Approach, CVPR 2017"
_GOLDBERGER = "Goldberger and Ben-Reuven, Training deep neural-networks using a noise adaptation layer, ICLR 2017"
_JIANG = "Jiang et al., MentorNet: Learning Data-Driven Curriculum for Very Deep Neural Networks on Corrupted Labels, ICML 2018"
METHODS: dict[str, Method] = {
    "ce": Method(CrossEntropy, "uses each label as it is", "the baseline"),
    "mae": Method(
        MeanAbsoluteError,
        "limits the loss of an example to 2, whatever its label",
        "Ghosh et al., Robust Loss Functions under Label Noise for Deep Neural Networks, AAAI 2017",
    ),
    "gce": Method(
        GeneralizedCrossEntropy, "lowers the gradient of an example whose label has a low predicted probability", _ZHANG
    ),
    "gce_truncated": Method(TruncatedGCE, "leaves out examples whose label has a low predicted probability", _ZHANG),
    "sce": Method(
        SymmetricCrossEntropy,
        "adds reverse cross-entropy, which is bounded, to cross-entropy",
        "Wang et al., Symmetric Cross Entropy for Robust Learning with Noisy Labels, ICCV 2019",
    ),
    "label_smoothing": Method(
        LabelSmoothing,
        "gives every class a small share of each label",
        "Szegedy et al., Rethinking the Inception Architecture for Computer Vision, CVPR 2016",
    ),
    "uniform_mixture": Method(
        UniformNoise,
        "assumes that a fixed share of the labels is drawn at random",
        f"{_PATRINI} (forward correction, uniform)",
    ),
    "nce_rce": Method(
        partial(ActivePassive, passive="rce"), "adds reverse cross-entropy to normalised cross-entropy", _MA
    ),
    "nce_mae": Method(
        partial(ActivePassive, passive="mae"), "adds mean absolute error to normalised cross-entropy", _MA
    ),
    "bootstrap_soft": Method(partial(Bootstrapping, kind="soft"), "mixes the label with the prediction", _REED),
    "bootstrap_hard": Method(partial(Bootstrapping, kind="hard"), "mixes the label with the predicted class", _REED),
    "co_teaching": Method(
        CoTeaching,
        "trains each network on the examples with a small loss in the other one",
        "Han et al., Co-teaching: Robust Training of Deep Neural Networks with Extremely Noisy Labels, NeurIPS 2018",
    ),
    "co_teaching_plus": Method(
        CoTeachingPlus,
        "works as co_teaching, on the examples for which the two networks predict different classes",
        "Yu et al., How does Disagreement Help Generalization against Label Corruption?, ICML 2019",
    ),
    "jocor": Method(
        JoCoR,
        "trains two networks on the examples that both fit and agree on, and penalises disagreement",
        "Wei et al., Combating Noisy Labels by Agreement: A Joint Training Method with Co-Regularization, CVPR 2020",
    ),
    "mentornet_pd": Method(
        partial(MentorNet, curriculum="predefined"),
        "weights each example by its loss, with a fixed curriculum",
        _JIANG,
    ),
    "mentornet_dd": Method(
        partial(MentorNet, curriculum="data_driven"),
        "weights each example by its loss and label, as learned from rows with trusted labels",
        _JIANG,
        reads_clean=True,
    ),
    "dividemix": Method(
        DivideMix,
        "removes labels with large losses, and trains two networks on mixtures of pairs of examples",
        "Li et al., DivideMix: Learning with Noisy Labels as Semi-supervised Learning, ICLR 2020",
    ),
    "selfmix": Method(
        SelfMix,
        "removes labels with large losses, and trains one network on mixtures of pairs of sentence vectors",
        "Qiao et al., SelfMix: Robust Learning Against Textual Label Noise with Self-Mixup Training, COLING 2022",
    ),
    "elr": Method(
        EarlyLearningRegularization,
        "keeps predictions close to the average of earlier predictions",
        "Liu et al., Early-Learning Regularization Prevents Memorization of Noisy Labels, NeurIPS 2020",
    ),
    "noise_adaptation": Method(
        partial(NoiseAdaptation, layer="simple"),
        "learns a transition matrix between true class and label with the model",
        _GOLDBERGER,
    ),
    "noise_adaptation_complex": Method(
        partial(NoiseAdaptation, layer="complex"),
        "learns a transition matrix that depends on the sentence",
        _GOLDBERGER,
    ),
    "forward": Method(
        ForwardCorrection,
        "multiplies the prediction by a given or estimated transition matrix before it is compared with the label",
        _PATRINI,
    ),
    "backward": Method(
        BackwardCorrection, "multiplies the losses by the inverse of a given or estimated transition matrix", _PATRINI
    ),
    "glc": Method(
        GoldLossCorrection,
        "works as forward, with a transition matrix that is estimated on rows with trusted labels",
        "Hendrycks et al., Using Trusted Data to Train Deep Networks on Labels Corrupted by Severe Noise, NeurIPS 2018",
        reads_clean=True,
    ),
    "pseudo_labeling": Method(
        PseudoLabeling,
        "removes labels with a very low predicted probability, and uses confident predictions as labels",
        "Lee, Pseudo-Label: The Simple and Efficient Semi-Supervised Learning Method, ICML 2013 workshop; Sohn et al., "
        "FixMatch, NeurIPS 2020; Zhang et al., FlexMatch, NeurIPS 2021",
        reads_unlabeled=True,
    ),
    "self_training": Method(
        SelfTraining,
        "trains on the labels at first, then on confident predictions of the model itself",
        "Yu et al., Fine-Tuning Pre-trained Language Model with Weak Supervision: A Contrastive-Regularized Self-Training "
        "Approach, NAACL 2021",
        reads_unlabeled=True,
    ),
    "label_correction": Method(
        LabelCorrection,
        "moves each label towards the model's prediction",
        "Lu and He, SELC: Self-Ensemble Label Correction Improves Learning with Noisy Labels, IJCAI 2022",
    ),
    "consistency": Method(
        ConsistencyRegularization,
        "makes the predictions for two views of a text agree, with or without a label",
        "Liang et al., R-Drop: Regularized Dropout for Neural Networks, NeurIPS 2021; Sohn et al., FixMatch: Simplifying "
        "Semi-Supervised Learning with Consistency and Confidence, NeurIPS 2020",
        reads_unlabeled=True,
    ),
    "candidate_labels": Method(
        CandidateLabels,
        "spreads the target over the classes with a vote, by votes and predicted probability",
        "Lv et al., Progressive Identification of True Labels for Partial-Label Learning, ICML 2020",
        reads_votes=True,
    ),
    "model_average": Method(
        ModelAverage,
        "evaluates and saves a moving average of the weights",
        "Polyak and Juditsky, Acceleration of Stochastic Approximation by Averaging, 1992; Tarvainen and Valpola, Mean "
        "teachers are better role models, NeurIPS 2017",
    ),
    "neighbours": Method(
        Neighbours,
        "leaves out examples whose label disagrees with the labels of the most similar texts",
        "Lang et al., Training Subset Selection for Weak Supervision, NeurIPS 2022",
    ),
    "rule_masking": Method(
        RuleMasking,
        "hides, at random, the words for which a rule labelled the text",
        "after Dong et al., Debiasing Made State-of-the-art: Revisiting the Simple Seed-based Weak Supervision for Text "
        "Classification, EMNLP 2023",
        reads_votes=True,
    ),
    "truth_inference": Method(
        TruthInference,
        "infers the true class from the sources and from similar texts, and trains on it",
        "after Raykar et al., Learning From Crowds, JMLR 2010; Patrini et al., Making Deep Neural Networks Robust to Label "
        "Noise, CVPR 2017",
        reads_unlabeled=True,
        keeps_last=True,
    ),
    "auto": Method(
        AutoMethod,
        "chooses between the labels as they are and truth_inference, and logs the reason",
        "as truth_inference: after Raykar et al., Learning From Crowds, JMLR 2010; Patrini et al., Making Deep Neural Networks "
        "Robust to Label Noise, CVPR 2017",
        reads_unlabeled=True,
        keeps_last=True,
    ),
}


def split_names(noise_method: str | None) -> list[str]:
    """Splits `"co_teaching+gce"` into names; raises for an unknown name, with the nearest one, and for a repeated one.

    >>> split_names("gce")
    ['gce']
    >>> split_names("gcee")
    Traceback (most recent call last):
    ValueError: noise_method='gcee': unknown method 'gcee'. Did you mean 'gce'? Known: ce, mae, gce, ...
    """
    if not isinstance(noise_method, str | None):
        raise TypeError(
            f"noise_method={noise_method!r}: expected a name, as 'gce' or 'co_teaching+gce'. Objects go to the trainer, as "
            "criterion=... or callbacks=[...]."
        )
    names = [name.strip() for name in noise_method.split("+")] if noise_method else []
    for name in names:
        if name not in METHODS:
            raise ValueError(f"noise_method={noise_method!r}: unknown method {name!r}. {nearest(name, METHODS)}")
    if len(set(names)) < len(names):
        raise ValueError(f"noise_method={noise_method!r}: names a method twice. Name each once.")
    return names


def reads_clean(names: Iterable[str]) -> bool:
    """Returns whether one of these methods needs `NoisyTrainer(clean_dataset=...)`; an unknown name needs nothing.

    >>> reads_clean(["gce", "glc"]), reads_clean(["gold"])
    (True, False)
    """
    return any(METHODS[name].reads_clean for name in names if name in METHODS)


def reads_unlabeled(names: Iterable[str]) -> bool:
    """Returns whether one of these methods uses rows without a label; an unknown name uses none."""
    return any(METHODS[name].reads_unlabeled for name in names if name in METHODS)


def names_of(part: Criterion | NoiseCallback) -> list[str]:
    """Returns the names for which `build_methods` makes such a part; an empty list if there is none.

    >>> names_of(ActivePassive("mae"))
    ['nce_mae']
    """
    return [name for name, method in METHODS.items() if _makes(method.build, part)]


def _makes(build: Callable[..., Any], part: Criterion | NoiseCallback) -> bool:
    kind, fixed = (build.func, build.keywords) if isinstance(build, partial) else (build, {})
    return type(part) is kind and all(getattr(part, key) == value for key, value in fixed.items())
