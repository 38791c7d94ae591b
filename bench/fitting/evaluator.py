"""A fitted method and its data: each view is predicted once, and the prediction is kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any

import torch

from bench.datasets.base import Dataset, Split, View, derive_seed
from bench.datasets.named import Value
from bench.discover import written
from bench.errors import MethodError
from bench.fitting.device import is_out_of_memory
from bench.fitting.fits import Fitted, Fitter, construct
from bench.fitting.prediction import BATCH, Prediction, check, run_network
from bench.fitting.training_evidence import TrainingEvidence, prediction_key
from bench.methods.base import Method, Prerequisite
from bench.store.cache import Cache, Key

SAME = 1e-3  # probabilities that differ by less over all inputs are one answer


class Evaluator:
    """A fitted method, the data it was fitted on, and its predictions of every view so far."""

    def __init__(self, label: str, method: Method, seed: int, fitter: Fitter) -> None:
        self.label = label
        self.method = method  # unfitted; `fitted` returns the fit
        self.seed = seed
        self.fitter = fitter
        self._predictions: dict[str, Prediction] = {}
        self._batch = BATCH
        self.training = TrainingEvidence(label, method, seed, fitter)

    @property
    def data(self) -> Dataset:
        """The data set it is fitted on."""
        return self.fitter.data

    @property
    def cache(self) -> Cache:
        """The cache of its fit and its predictions."""
        return self.fitter.cache

    def fitted(self) -> Fitted:
        """Return the fitted method, fitting it if need be."""
        return self.fitter.obtain(self.method, self.seed)

    def key(self) -> Key:
        """Return what the fit depends on, without fitting."""
        return self._fit_key

    @cached_property
    def _fit_key(self) -> Key:
        return self.fitter.key(self.method, self.seed)

    def reference(self, name: str, **params: Value) -> Evaluator:
        """Return another method on the same data and seed, such as `standard`.

        It is this evaluator where that has the same method and parameters.
        """
        other = self.fitter.build(Prerequisite(name, (self.seed,), params))
        if (other.name, other.params()) == (self.method.name, self.method.params()):
            return self
        words = ",".join(f"{key}={value}" for key, value in sorted(params.items()))
        return Evaluator(f"{name}:{words}" if words else name, other, self.seed, self.fitter)

    def told(self, **params: Value) -> Evaluator:
        """Return an evaluator of the same fit that predicts with other parameters.

        Scores know what they have learned from the fit as it is here.

        Raises:
            ValueError: a parameter is not one of prediction alone.
        """
        if strange := params.keys() - self.method.predict_only:
            raise ValueError(f"{', '.join(sorted(strange))} would change the fit")
        method = construct(type(self.method), self.method.params() | params)
        words = ",".join(f"{key}={written(value)}" for key, value in sorted(params.items()))
        label = f"{self.label}{',' if ':' in self.label else ':'}{words}"
        other = Evaluator(label, method, self.seed, self.fitter)
        other.training = self.training
        return other

    @property
    def test(self) -> Split:
        """The test part of its data."""
        return self.fitter.splits.test

    @property
    def clean(self) -> View:
        """The whole test part, unshifted: the inliers of every comparison."""
        test = self.test
        return View("clean", test.fingerprint, len(test), lambda: test.x, test.y)

    @property
    def validation(self) -> View:
        """The validation part: what thresholds and calibration are fixed on."""
        val = self.fitter.splits.val
        return View("validation", val.fingerprint, len(val), lambda: val.x, val.y)

    def predict(self, view: View) -> Prediction:
        """Return the prediction of a view; the networks run only the first time.

        Raises:
            MethodError: the method gave no probabilities of the right shape, range and sum.
        """
        if view.fingerprint not in self._predictions:
            self._predictions[view.fingerprint] = self._load_or_run(view)
        return self._predictions[view.fingerprint]

    @property
    def prediction_seed(self) -> int:
        """What the global generator is set to before every batch of a prediction."""
        return derive_seed("predict", self.method.name, self.data.label, self.seed)

    def has_predicted(self, view: View) -> bool:
        """Return whether `predict` has a view's prediction already and would run no network."""
        known = view.fingerprint in self._predictions
        return known or self.cache.has(self._kind, view.fingerprint, self._key(view))

    @property
    def _kind(self) -> str:
        return f"predictions/{self.data.label}/{self.label}-s{self.seed}"

    def _load_or_run(self, view: View) -> Prediction:
        # The file name is the fingerprint of the inputs, because two views can hold the same.
        kind, name, key = self._kind, view.fingerprint, self._key(view)

        def read(payload: Any, note: Mapping[str, Any]) -> Prediction:
            prediction = Prediction(
                payload["probs"], payload["logits"], payload["features"], payload["extras"],
                self.training.fit_score,
            )  # fmt: skip
            check(prediction, view.n, self.fitter.splits.test.task)
            return prediction

        known = None if self.fitter.force else self.cache.load(kind, name, key, read)
        if known is not None:
            return known
        made = self._run(view)
        payload = {"probs": made.probs, "logits": made.logits, "features": made.features,
                   "extras": dict(made.extras)}  # fmt: skip
        self.cache.keep(kind, name, key, payload, view=view.name)
        return made

    def _run(self, view: View) -> Prediction:
        made = None
        while made is None:
            made = self._passed(view)
        try:
            check(made, view.n, self.fitter.splits.test.task)
        except ValueError as error:
            raise MethodError(f"{self.label} gave {error} on view {view.name}") from error
        if view.fingerprint == self.test.fingerprint and self._has_collapsed(made):
            self.fitter.console.say(
                f"{self.label} on {self.data.label}, seed {self.seed}: the same answer for every "
                "clean input, so this training has failed; its numbers stay in the tables, and "
                "`bench report --paper` draws how it went"
            )
        return replace(made, fit_score=self.training.fit_score)

    def _has_collapsed(self, made: Prediction) -> bool:
        """Return whether a method that was trained in epochs says the same of all inputs."""
        spread = made.probs.amax(0) - made.probs.amin(0)
        return self.fitted().method.log is not None and bool(spread.max() < SAME)

    def _passed(self, view: View) -> Prediction | None:
        """Return one pass over a view, or None where memory was too small and batches are halved.

        No number depends on the size of batches; see `Method.predict_proba`.
        """
        method, seed, device = self.fitted().method, self.prediction_seed, self.fitter.device
        try:
            return run_network(method, view.load(), seed=seed, device=device, batch=self._batch)
        except RuntimeError as error:
            if self._batch == 1 or not is_out_of_memory(error):
                raise
        self._batch //= 2  # outside of `except`: its traceback holds the tensors of the pass
        if device.type == "cuda":
            torch.cuda.empty_cache()
        self.fitter.console.say(
            f"{self.label}: out of memory on view {view.name}; again in batches of {self._batch}"
        )
        return None

    def _key(self, view: View) -> Key:
        return prediction_key(self.fitter, self.method, self.seed, view.fingerprint)
