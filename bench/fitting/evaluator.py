"""A fitted method and its data: each view is predicted once and the answer is kept."""

from __future__ import annotations

from torch import Tensor

from bench.datasets.base import Dataset, Split, View, derive_seed
from bench.datasets.named import Value
from bench.fitting.fits import Fitted, Fitter
from bench.fitting.prediction import Prediction, last_features, run_network
from bench.methods.base import Method, Prerequisite
from bench.store.cache import Cache, Key
from bench.store.code import code_digest


class Evaluator:
    """A fitted method, the data it was fitted on, and its answers to every view so far."""

    def __init__(self, label: str, method: Method, seed: int, fitter: Fitter) -> None:
        self.label = label
        self.method = method  # unfitted, until `fitted` is asked for
        self.seed = seed
        self.fitter = fitter
        self._seen: dict[str, Prediction] = {}

    @property
    def data(self) -> Dataset:
        """The data set it was, or is to be, fitted on."""
        return self.fitter.data

    @property
    def cache(self) -> Cache:
        """Where its fit and its answers are kept."""
        return self.fitter.cache

    def fitted(self) -> Fitted:
        """Return the fitted method, fitting it if need be."""
        return self.fitter.obtain(self.method, self.seed)

    def key(self) -> Key:
        """Return what the fit depends on, without fitting."""
        return self.fitter.key(self.method, self.seed)

    def reference(self, name: str, **params: Value) -> Evaluator:
        """Return another method on the same data and seed, such as `standard`."""
        other = self.fitter.build(Prerequisite(name, (self.seed,), params))
        return self if other.name == self.label else Evaluator(name, other, self.seed, self.fitter)

    @property
    def test(self) -> Split:
        """The test part of its data."""
        return self.fitter.splits.test

    @property
    def clean(self) -> View:
        """The whole test part, unshifted: the inliers of every comparison."""
        test = self.test
        return View("clean", test.fingerprint, len(test), lambda: test.x, test.y)

    def predict(self, view: View) -> Prediction:
        """Return what the method says of a view; the networks run only the first time."""
        if view.fingerprint not in self._seen:
            self._seen[view.fingerprint] = self._load_or_run(view)
        return self._seen[view.fingerprint]

    def has_answered(self, view: View) -> bool:
        """Tell whether `predict` has an answer to a view already, and would run no network."""
        known = view.fingerprint in self._seen
        return known or self.cache.has(self._kind, view.fingerprint, self._key(view))

    @property
    def _kind(self) -> str:
        return f"predictions/{self.data.label}/{self.label}-s{self.seed}"

    def _load_or_run(self, view: View) -> Prediction:
        kind, key = self._kind, self._key(view)
        entry = None if self.fitter.force else self.cache.load(kind, view.fingerprint, key)
        if entry is not None:
            return Prediction(entry.payload["probs"], entry.payload["logits"])
        method = self.fitted().method
        seed = derive_seed("predict", self.method.name, self.data.label, self.seed)
        found = run_network(method, view.load(), seed=seed, device=self.fitter.device)
        self._must_be_finite(found, view)
        # Named after its inputs alone: the same ones may be known under two names.
        payload = {"probs": found.probs, "logits": found.logits}
        self.cache.keep(kind, view.fingerprint, key, payload, view=view.name)
        return found

    def features(self, part: Split) -> Tensor | None:
        """Return the last hidden features (N, F) of a split, where the method has any; kept."""
        kind, key = f"features/{self.data.label}/{self.label}-s{self.seed}", self._key(part)
        entry = None if self.fitter.force else self.cache.load(kind, part.fingerprint, key)
        if entry is not None:
            return entry.payload["features"]
        found = last_features(self.fitted().method, part.x, device=self.fitter.device)
        self.cache.keep(kind, part.fingerprint, key, {"features": found})
        return found

    def _key(self, view: View | Split) -> Key:
        spec = {
            "fit": self.key().digest,
            "params": self.method.params(),
            "view": view.fingerprint,
            "code": code_digest("bench.fitting.prediction"),
        }
        return Key(spec)

    def _must_be_finite(self, found: Prediction, view: View) -> None:
        for name, values in (("probabilities", found.probs), ("logits", found.logits)):
            if values is not None and (bad := int((~values.isfinite()).sum())):
                raise ValueError(
                    f"{self.label} gave {bad} {name} that are not finite on view {view.name}"
                )
