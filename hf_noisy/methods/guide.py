"""Advice on each method of the registry: when to use it, when not, its formula, and the work that it adds."""

from __future__ import annotations

from dataclasses import dataclass

LOSS = "loss"
MATRIX = "noise matrix"
SELECTION = "sample selection"
REPLACEMENT = "label replacement"
SEMI = "semi-supervised"
REGULARISATION = "regularisation"
FAMILIES = {
    REPLACEMENT: "train on classes that are inferred from labels, votes, texts or predictions",
    LOSS: "limit or change the loss of a wrong label",
    MATRIX: "model how often each true class gets each label",
    SELECTION: "leave out examples whose labels look wrong, or give them lower weights",
    SEMI: "remove labels that look wrong, and train on predictions instead",
    REGULARISATION: "keep the model from fitting single wrong labels",
}
SYMBOLS = {
    "p_k": "predicted probability of class k",
    "y": "the given label",
    "K": "number of classes",
    "CE": "cross-entropy, -log p_y",
}


@dataclass(frozen=True)
class Guide:
    """Advice on one method. `use` and `avoid` complete the sentences "Use it when ..." and "Do not use it when ..."."""

    family: str
    use: str
    avoid: str
    formula: str  # one to three lines; names of parameters stand for themselves, and `SYMBOLS` explains the rest
    extra: str = ""  # work besides the training steps; empty if there is none
    can_use: tuple[
        str, ...
    ] = ()  # inputs that it uses if they exist, besides unlabeled rows (`Method.reads_unlabeled`)


_LEARNABLE = "rules or people made the labels: the model fits such mistakes as easily as correct labels"
_SURVEY_AFTER_WARMUP = "A pass over the training set after the warm-up, none with a given matrix"
_T = "T_ij: probability that an example of true class i is labelled j"

GUIDE: dict[str, Guide] = {
    "ce": Guide(
        LOSS,
        "few labels are wrong, when there are fewer than 50 labels, or as the baseline of a comparison",
        "many labels are wrong and training is long: the model memorises the wrong labels",
        "loss = -log p_y",
    ),
    "mae": Guide(
        LOSS,
        "labels are wrong at random and there are two or three classes",
        "there are many classes or few steps: a label with a low probability has almost no gradient, so the model underfits",
        "loss = sum_k |y_k - p_k| = 2 (1 - p_y)\ny_k: 1 for the given label, else 0",
    ),
    "gce": Guide(
        LOSS,
        "labels are wrong at random and training has many steps",
        "training has few steps and uneven classes: the model can stay at the most frequent class",
        "loss = (1 - p_y^q) / q\nq -> 0 gives cross-entropy; q = 1 gives half of the mean absolute error",
    ),
    "gce_truncated": Guide(
        SELECTION,
        "you compare it with `gce`, in a long training on labels that are wrong at random",
        "training is short: labels that the model has not learned yet look wrong and are left out",
        "loss = v (1 - p_y^q) / q\nv: 1 if p_y > k at the last pass over the training set, else 0",
        "A pass over the training set before each epoch after the warm-up; less often in trainings of 18 epochs and more.",
    ),
    "sce": Guide(
        LOSS,
        "labels are wrong at random and some classes are learned late",
        f"training is very long, since the cross-entropy in it fits wrong labels in the end, or when {_LEARNABLE}",
        "loss = alpha CE + beta RCE\nRCE = -sum_k p_k log y_k = -log_zero (1 - p_y); log_zero < 0 replaces the log of 0",
    ),
    "label_smoothing": Guide(
        LOSS,
        "few labels are wrong and the predicted probabilities should be well calibrated",
        "many labels are wrong: the loss of a wrong label is not bounded",
        "loss = (1 - epsilon) CE + epsilon mean_k(-log p_k)",
    ),
    "uniform_mixture": Guide(
        MATRIX,
        "you know the noise rate roughly, and a wrong label can be any class",
        "some classes are confused more often than others, or the rate is unknown",
        "loss = -log(e / K + (1 - e) p_y)\ne: share of labels that are drawn at random (noise_rate)",
    ),
    "nce_rce": Guide(
        LOSS,
        "many labels are wrong at random and training is long",
        "training has few steps and uneven classes: the model can stay at the most frequent class",
        "loss = alpha NCE + beta RCE\nNCE = log p_y / sum_k log p_k; RCE = 4 (1 - p_y)",
    ),
    "nce_mae": Guide(
        LOSS,
        "many labels are wrong at random and training is long, as an alternative to `nce_rce`",
        "training has few steps and uneven classes: its gradients are even smaller than those of `nce_rce`",
        "loss = alpha NCE + beta MAE\nNCE = log p_y / sum_k log p_k; MAE = 2 (1 - p_y)",
    ),
    "bootstrap_soft": Guide(
        LOSS,
        "few labels are wrong and the model predicts well early, as a pretrained model does",
        "rules made the labels: the prediction that is mixed in repeats the mistakes of the rules",
        "loss = -sum_k (beta y_k + (1 - beta) p_k) log p_k\n"
        "y_k: 1 for the given label, else 0; the gradient also flows through the target",
    ),
    "bootstrap_hard": Guide(
        LOSS,
        "few labels are wrong, the model predicts well early, and the label should count less than in `bootstrap_soft`",
        "rules made the labels: the prediction that is mixed in repeats the mistakes of the rules",
        "loss = -beta log p_y - (1 - beta) log p_z\nz: the predicted class",
    ),
    "co_teaching": Guide(
        SELECTION,
        "labels are wrong at random, there are thousands of rows, and the model would memorise them",
        "the data set is small, or rules or people made the labels: such mistakes have small losses too",
        "Each network trains on the share R of a batch that has the smallest losses under the other network.\n"
        "R = 1 - forget_rate min(epoch / ramp_epochs, 1)",
    ),
    "co_teaching_plus": Guide(
        SELECTION,
        "the two networks of `co_teaching` become alike in a long training",
        "training has few steps: once the networks agree, few examples are left",
        "As co_teaching, after the warm-up among the examples with argmax_k p1_k != argmax_k p2_k only\n"
        "p1, p2: predictions of the two networks",
    ),
    "jocor": Guide(
        SELECTION,
        "labels are wrong at random, evenly over the classes, and training is long",
        "classes are uneven, training is short, or one class is taken for another",
        "loss = (1 - co_lambda) (CE1 + CE2) + co_lambda (KL(p1 || p2) + KL(p2 || p1))\n"
        "on the share 1 - forget_rate min(epoch / ramp_epochs, 1) of a batch with the smallest losses\n"
        "p1, p2: predictions of the two networks",
    ),
    "mentornet_pd": Guide(
        SELECTION,
        "labels are wrong at random, you know the share of correct labels roughly, and training is long",
        "training is short or classes are rare: rows of a class that is learned late have large losses and get no weight",
        "loss = v CE; v = mentor(CE, CE - Q, progress)\n"
        "Q: running percentile of the losses. v is about 1 for all rows at first, then for rows with CE <= Q only;\n"
        "at the end it falls from 1 to 0 as CE - Q rises from 0 to gamma",
        "Training of the mentor before the first step: seconds, once per process.",
    ),
    "mentornet_dd": Guide(
        SELECTION,
        "some rows have been checked and labels are wrong at random",
        "rules or people made the labels; try to train on the checked rows alone first",
        "loss = v CE; v = mentor(CE, CE - Q, y, progress)\n"
        "Q: running percentile of the losses; the mentor learns on the trusted rows whether a label is correct",
        "A pass over the trusted rows and a short training of the mentor before each epoch from the second on.",
    ),
    "dividemix": Guide(
        SEMI,
        "one class is often taken for another and training has many epochs",
        "training has few epochs, classes are very uneven, or wrong labels are spread over all classes",
        "target: sharpen(w y + (1 - w) p) if w > clean_threshold, else sharpen(mean p of both networks)\n"
        "w: probability of the lower of two normals that are fitted to the losses of the other network\n"
        "loss = CE with a label; lambda_u mean_k (p_k - target_k)^2 without; + KL(uniform || mean p); on mixed pairs",
        "A pass of both networks over the training set before each epoch after the warm-up; four forwards without gradient per step.",
    ),
    "selfmix": Guide(
        SEMI,
        "one class is often taken for another, training has many epochs, and `dividemix` is too expensive",
        "training has only a few epochs, of which the first two are the warm-up, or wrong labels are spread over all classes",
        "target: y if w > clean_threshold, else sharpen(mean of p and q); w: as in dividemix, by the network itself\n"
        "loss = CE on mixed pairs, + lambda_p (-log max_k p_k) + lambda_r (KL(p || q) + KL(q || p)) / 2 without a label\n"
        "p, q: predictions for two dropout views",
        "A second dropout view in each step, and a pass over the training set before each epoch, both after the warm-up.",
    ),
    "elr": Guide(
        REGULARISATION,
        "labels are wrong at random and training has five epochs or more",
        f"training is short, since its target then averages few predictions, or when {_LEARNABLE}",
        "loss = CE + lam log(1 - sum_k t_k p_k)\nt <- beta t + (1 - beta) p, each time the example is seen",
    ),
    "noise_adaptation": Guide(
        MATRIX,
        "one class is taken for another, you do not know how often, and training is short",
        "the model has memorised the wrong labels already, or mistakes depend on the text and not only on the class",
        f"loss = -log sum_i p_i T_iy + regularizer_weight mean_i T_ii\n{_T}; learned with the model",
        f"{_SURVEY_AFTER_WARMUP} or rate.",
    ),
    "noise_adaptation_complex": Guide(
        MATRIX,
        "one class is taken for another, in some texts more often than in others",
        "there are few rows: the layer has as many weights as classes^2 times the width of the sentence vector",
        f"loss = -log sum_i p_i T_iy + regularizer_weight mean_i T_ii\n{_T}; row i of T is softmax(b_i + U_i h)\n"
        "h: sentence vector; b and U are learned with the model",
        f"{_SURVEY_AFTER_WARMUP} or rate.",
    ),
    "forward": Guide(
        MATRIX,
        "you know the transition matrix, or each class has rows that surely belong to it, from which it is estimated",
        "a class has no label, or mistakes depend on the text and not only on the class",
        f"loss = -log sum_i p_i T_iy\n{_T}; given, or estimated after the warm-up",
        f"{_SURVEY_AFTER_WARMUP}.",
    ),
    "backward": Guide(
        MATRIX,
        "you know the transition matrix and there are few classes",
        "the matrix is estimated or nearly singular: `forward` has a lower variance",
        f"loss = sum_j (T^-1)_yj (-log p_j)\n{_T}; given, or estimated after the warm-up\n"
        "With nonnegative=True, the part of a batch's loss with class j is left out while it is negative.",
        f"{_SURVEY_AFTER_WARMUP}.",
    ),
    "glc": Guide(
        MATRIX,
        "hundreds of trusted rows cover all classes and one class is taken for another",
        "there are few trusted rows; try to train on the trusted rows alone first",
        f"loss = -log sum_i p_i T_iy; for trusted rows -log p_y\n{_T}\n"
        "Row i of T is the mean prediction for the trusted rows of class i after the warm-up.",
        "A pass over the trusted rows after the warm-up; the trusted rows are trained on too.",
    ),
    "pseudo_labeling": Guide(
        SEMI,
        "many rows have no label, and the model is usually right where it is confident",
        "the labels contain many systematic mistakes: the model then repeats them with confidence",
        "A row without a label, or with p_y < 0.2 min(1 / K, share of label y), gets the label argmax_k p_k\n"
        "if max_k p_k >= threshold; else it is left out of the epoch. p: prediction before the epoch",
        "A pass over the training set before each epoch after the first third of the training.",
        ("votes",),
    ),
    "self_training": Guide(
        SEMI,
        "rules label few rows but label them well, many rows have no label, and the encoder is pretrained",
        "many labels are wrong: mistakes that the model has learned by then are reinforced",
        "First stage: CE. Then loss = w KL(t || p) + contrast R1 + lam KL(uniform || p), for rows with w >= confidence only\n"
        "t_k is proportional to f_k^2 / (sum of f_k over all rows); f: prediction before the epoch\n"
        "w = 1 - entropy(t) / log K; R1: draws vectors of one class together, and pushes those of two classes apart",
        "A pass over the training set before each epoch of the second stage.",
    ),
    "label_correction": Guide(
        REPLACEMENT,
        "all rows have labels, and after some epochs the model's predictions are better than the labels",
        "rules made the labels, or training is so short that predictions are still poor when the warm-up ends",
        "loss = -sum_k t_k log p_k\nt: the label; after the warm-up t <- momentum t + (1 - momentum) p, once per epoch",
    ),
    "consistency": Guide(
        REGULARISATION,
        "few rows have labels and many have none, or the model overfits a small data set",
        "time is short, or you need a method that judges which labels are wrong",
        "loss = (CE(p) + CE(q)) / 2 + weight (KL(p || q) + KL(q || p)) / 4\n"
        'p, q: predictions for two dropout views of a text; kind="fixmatch" has another second term',
        "A second view in each step.",
    ),
    "candidate_labels": Guide(
        REPLACEMENT,
        "a few sources contradict each other, and the true class is usually among their votes",
        "there is one source, or many sources vote for many classes of the same text",
        "loss = -sum_k t_k log p_k; t_k is proportional to n_k^prior f_k\n"
        "n_k: votes for class k; f: the last prediction in training; in the warm-up t is the share of the votes",
    ),
    "model_average": Guide(
        REGULARISATION,
        "accuracy varies much from epoch to epoch; you can add it to any other method",
        "training has few steps, so that there is little to average",
        "a <- d a + (1 - d) w after each step; d = min(decay, (1 + t) / (10 + t)) at step t\n"
        "w: trained weights; a: the weights that are evaluated and saved",
        "A pass over the weights per step, and a copy of the weights in memory.",
    ),
    "neighbours": Guide(
        SELECTION,
        "a pretrained encoder gives texts of one class similar vectors, whoever made the labels",
        "the encoder is not pretrained for these texts or their language",
        "The share of the rows with the largest -(J - E[J]) / sd[J] is trained on, the rest is left out.\n"
        "J: sum of 1 / (1 + distance) over the nearest texts with another label; E, sd: for labels drawn at random",
        "A pass over the training set and a search for neighbours before the first step.",
    ),
    "rule_masking": Guide(
        REGULARISATION,
        "keyword rules labelled long texts, which contain other evidence of the class too",
        "texts are short, or people labelled them",
        "loss = -log p_y(x'); x': the text without its rule words with probability hide, else the whole text\n"
        "Rule words: tokens of which at least the share precision of the texts has the same vote of a source",
    ),
    "truth_inference": Guide(
        REPLACEMENT,
        "several rules, annotators, lists or language models made the labels, or labels are wrong at random",
        "one rule or one person made the labels: text and label alone do not tell such mistakes, and the labels stay as they are",
        "loss = -sum_k t_k log p_k; t_k is proportional to f_k prod_s P(vote of s | k), or to f_k T_ky without votes\n"
        "f: a linear classifier of text features and similar texts; s: sources; T_ij: P(label j | true class i)\n"
        "t: mean of two models of the sources, or of models of T weighted by how well they predict held-out labels",
        "A pass over the training set before the first step; linear classifiers and a search for neighbours: seconds.",
        ("votes",),
    ),
    "auto": Guide(
        REPLACEMENT,
        "you do not know how labels are wrong: start with it",
        "you know the transition matrix (see `forward`), or rules for single classes made the labels and you know how common the "
        "classes are (see `class_prior` of `truth_inference`)",
        "As truth_inference; if under 4 % of the labels would change, loss = -w log p_y on the given labels:\n"
        "w: share of the rows whose label agrees no better with those of similar texts;\n"
        "1 with fewer than 50 labels, or if similar texts do not agree",
        "A pass over the training set before the first step; linear classifiers and a search for neighbours: seconds.",
        ("votes",),
    ),
}
