"""Eq. 6-15 of the paper, one function an equation, and `member_loss`: what a model minimises.

The loss of an equation is one value a row, shape (...), in nats. Logits have shape (..., C), attention (..., M), labels
(...) of class indices. All work in log space.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from .paper import BATCH_SIZE, PAPER, Protocol

IMITATION = ("soft", "attention")  # terms that a window without knowledge does not have
POWERS = {"T2": 2, "T": 1, "1": 0, "1/T": -1, "1/T2": -2}  # of T in L_soft, by Protocol.soft_scale


def log_softmax_t(logits: Tensor, temperature: float = 1.0) -> Tensor:
    """log S(x, T), Eq. 6, for logits (..., rows, C)."""
    # With the rows last: over a handful of neighbouring numbers the library takes ten times as long.
    return F.log_softmax((logits / temperature).mT, dim=-2).mT


def soft_predictions(logits: Tensor, temperature: float) -> Tensor:
    """P_T = S(O, T), Eq. 7: probabilities (..., C)."""
    return log_softmax_t(logits, temperature).exp()


def _negative_log_likelihood(log_p: Tensor, y: Tensor) -> Tensor:
    """-log p of the true class, (...), from log-probabilities (..., C) and labels (...)."""
    return -log_p.gather(-1, y.unsqueeze(-1)).squeeze(-1)


def teacher_loss(logits: Tensor, y: Tensor, temperature: float) -> Tensor:
    """L_teacher = CE(Y, S(O_r, T)), Eq. 8: the temperature is already there in training."""
    return _negative_log_likelihood(log_softmax_t(logits, temperature), y)


def attention_loss(log_a_student: Tensor, a_teacher: Tensor) -> Tensor:
    """L_att = KL(A_p || A_r), Eq. 10.

    log_a_student: log A_p (..., M). a_teacher: A_r (..., M); values below the smallest normal number count as
    that, so that a segment the teacher ignores gives a large but finite loss.
    """
    log_a_teacher = a_teacher.clamp_min(torch.finfo(a_teacher.dtype).tiny).log()
    return (log_a_student.exp() * (log_a_student - log_a_teacher)).sum(-1)


def attention_loss_reversed(log_a_student: Tensor, a_teacher: Tensor) -> Tensor:
    """KL(A_r || A_p), as the released code has it: Eq. 10 the other way round."""
    return (torch.xlogy(a_teacher, a_teacher) - a_teacher * log_a_student).sum(-1)


def hard_loss(logits: Tensor, y: Tensor) -> Tensor:
    """L_hard = CE(Y, S(O_p, 1)), Eq. 11."""
    return _negative_log_likelihood(log_softmax_t(logits), y)


def soft_loss(logits: Tensor, p_teacher: Tensor, temperature: float) -> Tensor:
    """L_soft = T^2 CE(P_{r,T}, P_{p,T}), Eq. 12, with the teacher's soft labels p_teacher (..., C)."""
    return -(temperature**2) * (p_teacher * log_softmax_t(logits, temperature)).sum(-1)


def combined_log_predictions(logits: Tensor, combine: Tensor, temperature: float) -> Tensor:
    """log P_comb = log S(w1 P_{p,1} + w2 P_{p,T} + b, 1), Eq. 13, (..., C).

    logits (B, C) with combine (3,), or (E, B, C) with (E, 3): w1, w2, b. It is a softmax over probabilities, so P_comb
    never gets near 1; b shifts every class alike and so has no effect and no gradient. Both are as published.
    """
    w1, w2, b = combine[..., None, None].unbind(-3)  # each (..., 1, 1), over the rows and classes
    mixture = w1 * soft_predictions(logits, 1.0) + w2 * soft_predictions(logits, temperature) + b
    return log_softmax_t(mixture)


def combined_loss(logits: Tensor, combine: Tensor, y: Tensor, temperature: float) -> Tensor:
    """L_comb = CE(Y, P_comb), Eq. 14."""
    return _negative_log_likelihood(combined_log_predictions(logits, combine, temperature), y)


def member_loss(
    terms: Sequence[str],
    log_attention: Tensor,
    logits: Tensor,
    y: Tensor,
    *,
    combine: Tensor,
    temperature: float,
    taught: tuple[Tensor, Tensor] | None = None,
    weight: Tensor | None = None,
    uses: Tensor | None = None,
    share: float | Tensor = 1.0,
    labelled: float | Tensor | None = None,
    protocol: Protocol = PAPER,
) -> Tensor:
    """What a member minimises on a batch: the mean over rows of the plain sum of its terms (Eq. 8; Eq. 15, ablations).

    terms: of 'teacher', 'hard', 'soft', 'combined', 'attention'. log_attention (B, M), logits (B, C), y (B,); combine
    (3,): w1, w2, b of Eq. 13. taught: the teacher's soft labels (B, C) and attention (B, M); a row of zeros is a window
    the teacher said nothing about, which has no 'soft' and no 'attention'. weight (B,): each row's share of the mean,
    1/B by default, 0 for padding. share, above 0: that of the member's training windows that have knowledge, by which
    its 'soft' and 'attention' are divided, so that over an epoch they are means over these; 1 where it has none, and
    without effect under `few_rich` 'all'. labelled, above 0: likewise the share that has labels, where y is -1 for a
    row that nobody labelled, which has 'soft' and 'attention' alone; None where every row has one. For E members at
    once every shape has a leading E, the loss is (E,), share and labelled are one number or (E,), and uses (E, terms)
    is 1 where a member has the term. What differs by `protocol` differs here and nowhere else.
    """
    p_teacher, a_teacher = taught or (None, None)
    imitate = attention_loss if protocol.attention_kl == "student_teacher" else attention_loss_reversed
    compute = {
        "teacher": lambda: teacher_loss(logits, y, temperature if protocol.teacher_temperature == "T" else 1.0),
        "hard": lambda: hard_loss(logits, y),
        "soft": lambda: soft_loss(logits, p_teacher, temperature) * temperature ** (POWERS[protocol.soft_scale] - 2),
        "combined": lambda: combined_loss(logits, combine, y, temperature),
        "attention": lambda: imitate(log_attention, a_teacher) * (a_teacher.sum(-1) > 0),
    }
    if weight is None:
        weight = torch.full_like(y, 1 / y.shape[-1], dtype=logits.dtype)
    share, labelled = (of.unsqueeze(-1) if isinstance(of, Tensor) else of for of in (share, labelled))
    if labelled is not None:
        has_label, y = y >= 0, y.clamp_min(0)
    total = 0.0
    for i, term in enumerate(terms):
        rows = compute[term]()  # (..., B)
        if protocol.short_batch == "over_128" and term in IMITATION:
            rows = rows / (weight * BATCH_SIZE).clamp_min(1)  # undoes the mean over a short batch's rows
        if protocol.few_rich == "taught" and term in IMITATION:
            rows = rows / share
        if labelled is not None and term not in IMITATION:
            rows = rows * has_label / labelled
        total = total + (rows if uses is None else uses[..., i, None] * rows)
    return (total * weight).sum(-1)
