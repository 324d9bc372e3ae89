"""Writes tests/unit/data/clustering_golden.h: what PLDA and VBx must come to, by other means than those of src/diarize.

Densities are those of whole Gaussians with full matrices; the sequence is summed with a full transition matrix; the
windows are summed over every single assignment of voices to speakers. Equations: Landini et al. 2022 (VBx), Ioffe 2006.

    .venv/bin/python tests/conformance/make_vbx_golden.py > tests/unit/data/clustering_golden.h
"""
import itertools

import numpy as np
from scipy.special import logsumexp
from scipy.stats import multivariate_normal

rng = np.random.default_rng(4)
IN, DIMS, COUNT, SPEAKERS = 5, 4, 24, 4
RULES = dict(fa=0.4, fb=3.0, loop=0.8, smoothing=5.0, same=0.02)
ROUNDS = (1, 2, 5, 40)


def line(name, values, kind="float"):
    values = np.ravel(values)
    if kind == "int":
        text = ", ".join(str(int(v)) for v in values)
    else:
        text = ", ".join(f"{v:.9g}" + ("" if kind == "double" else "f" if ("." in f"{v:.9g}" or "e" in f"{v:.9g}") else ".0f")
                         for v in values)
    print(f"static const {kind} {name}[{len(values)}] = {{{text}}};")


def f32(x):
    return np.asarray(x, dtype=np.float32).astype(float)


# --- PLDA ---------------------------------------------------------------------------------------------------------
mixing = rng.normal(size=(DIMS, DIMS))
within = mixing @ mixing.T / DIMS + 0.3 * np.eye(DIMS)
between_root = rng.normal(size=(DIMS, DIMS))
between = between_root @ between_root.T / DIMS
# Both diagonal at once: the Cholesky root of `within` first, then the eigenvectors of what `between` became.
whiten = np.linalg.inv(np.linalg.cholesky(within))
psi, vectors = np.linalg.eigh(whiten @ between @ whiten.T)
psi, transform = f32(psi[::-1]), f32(vectors.T[::-1] @ whiten)
center, offset, mean = f32(rng.normal(size=IN)), f32(0.1 * rng.normal(size=DIMS)), f32(0.1 * rng.normal(size=DIMS))
reduce = f32(rng.normal(size=(DIMS, IN)))


def unit(x):
    return x / np.linalg.norm(x)


voice = f32(rng.normal(size=IN))
reduced = unit(reduce @ unit(voice - center) - offset)
place = transform @ (reduced - mean)


def ratio(known, test):
    """All vectors at once are one Gaussian: `between` in every block, `within` on the diagonal besides."""
    n = len(known)
    within_, between_ = np.eye(DIMS), np.diag(psi)
    joint = np.kron(np.ones((n + 1, n + 1)), between_) + np.kron(np.eye(n + 1), within_)
    def density(x, covariance):
        return multivariate_normal.logpdf(x, np.zeros(len(x)), covariance)
    alone = density(np.concatenate(known), joint[:n * DIMS, :n * DIMS]) + density(test, between_ + within_)
    return density(np.concatenate(known + [test]), joint) - alone


known = [f32(rng.normal(size=DIMS) * np.sqrt(1 + psi)) for _ in range(3)]
test = f32(rng.normal(size=DIMS) * np.sqrt(1 + psi))

# --- VBx ----------------------------------------------------------------------------------------------------------
centers = rng.normal(size=(3, DIMS)) * 3 * np.sqrt(psi)
truth = np.repeat([0, 1, 0, 2, 1], [5, 6, 4, 5, 4])
places = f32(centers[truth] + rng.normal(size=(COUNT, DIMS)))
weights = f32(rng.uniform(0.3, 1.5, size=COUNT))
first = truth.copy()
first[::5] = rng.integers(0, SPEAKERS, size=len(first[::5]))
first[2] = 3  # a fourth cluster, made in vain
# In windows of 1, 2 and 3 voices the same places, in an order that puts different people next to each other.
order = np.argsort(np.arange(COUNT) % 8, kind="stable")
windows = np.repeat(np.arange(12), [1, 2, 3] * 4)


def speakers_of(gamma, w, x):
    n = (gamma * w[:, None]).sum(0)
    ratio_ = RULES["fa"] / RULES["fb"]
    inv_l = 1 / (1 + ratio_ * n[:, None] * psi)
    alpha = ratio_ * inv_l * ((gamma * w[:, None]).T @ (x * np.sqrt(psi)))
    fit = RULES["fa"] * w[:, None] * ((x * np.sqrt(psi)) @ alpha.T - 0.5 * (inv_l + alpha ** 2) @ psi)
    return fit, 0.5 * RULES["fb"] * np.sum(np.log(inv_l) - inv_l - alpha ** 2 + 1)


def label_sequence(fit, prior):
    loop, total = RULES["loop"], len(fit)
    with np.errstate(divide="ignore"):
        moves, begin = np.log(loop * np.eye(len(prior)) + (1 - loop) * prior), np.log(prior)
    ahead, after = np.zeros_like(fit), np.zeros_like(fit)
    ahead[0] = begin + fit[0]
    for t in range(1, total):
        ahead[t] = fit[t] + logsumexp(ahead[t - 1][:, None] + moves, axis=0)
    for t in reversed(range(total - 1)):
        after[t] = logsumexp(moves + fit[t + 1] + after[t + 1], axis=1)
    all_ = logsumexp(ahead[-1])
    gamma = np.exp(ahead + after - all_)
    claim = gamma[0].copy()
    for t in range(1, total):
        with np.errstate(divide="ignore"):
            claim += np.exp(np.log((1 - loop) * prior) + logsumexp(ahead[t - 1]) + fit[t] + after[t] - all_)
    return gamma, all_, claim


def label_windows(fit, prior, window_of):
    gamma, all_ = np.zeros_like(fit), 0
    for w in np.unique(window_of):
        at = np.flatnonzero(window_of == w)
        heard, expected = 0, 0
        for choice in itertools.product(range(len(prior)), repeat=len(at)):
            odds = np.prod(prior[list(choice)]) * RULES["same"] ** (len(choice) - len(set(choice)))
            weight = odds * np.exp(sum(fit[t, k] for t, k in zip(at, choice)))
            expected, heard = expected + odds, heard + weight
            for t, k in zip(at, choice):
                gamma[t, k] += weight
        gamma[at] /= heard
        all_ += np.log(heard / expected)
    return gamma, all_, gamma.sum(0)


def vbx(x, w, start, window_of, rounds):
    gamma = np.exp(RULES["smoothing"] * np.eye(SPEAKERS)[start])
    gamma /= gamma.sum(1, keepdims=True)
    prior, before = np.full(SPEAKERS, 1 / SPEAKERS), -np.inf
    for _ in range(rounds):
        fit, paid = speakers_of(gamma, w, x)
        gamma, all_, claim = label_sequence(fit, prior) if window_of is None else label_windows(fit, prior, window_of)
        prior, evidence = claim / claim.sum(), all_ + paid
        if evidence - before < 1e-9:
            break
        before = evidence
    names = {}
    return evidence, [names.setdefault(k, len(names)) for k in gamma.argmax(1)]


print("/* Made by tests/conformance/make_vbx_golden.py. */")
print(f"enum {{ GOLDEN_IN = {IN}, GOLDEN_DIMS = {DIMS}, GOLDEN_COUNT = {COUNT}, GOLDEN_SPEAKERS = {SPEAKERS}, GOLDEN_KNOWN = {len(known)} }};")
for name, values in (("center", center), ("reduce", reduce), ("offset", offset), ("mean", mean), ("transform", transform),
                     ("psi", psi), ("voice", voice), ("reduced", reduced), ("place", place),
                     ("known", np.mean(known, axis=0)), ("test", test)):
    line("golden_" + name, values)
line("golden_ratio", [ratio(known, test)], "double")
line("golden_places", places)
line("golden_weights", weights)
line("golden_first", first, "int")
line("golden_rounds", ROUNDS, "int")
for name, arguments in (("sequence", (places, weights, first, None)),
                        ("windows", (places[order], weights[order], first[order], windows))):
    outcomes = [vbx(*arguments, rounds) for rounds in ROUNDS]
    line(f"golden_{name}_evidence", [e for e, _ in outcomes], "double")
    line(f"golden_{name}_labels", outcomes[-1][1], "int")
line("golden_order", order, "int")
line("golden_window_of", windows, "int")
