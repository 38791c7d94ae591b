"""Fitted methods: from the cache where their key matches, else fitted and kept."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import Any

import torch

from bench import methods
from bench.datasets.base import Dataset, Split, Splits
from bench.datasets.named import Value
from bench.datasets.single_attribute import single_attribute
from bench.discover import subclasses
from bench.fitting.console import Console
from bench.methods.base import Method, Prerequisite
from bench.store.cache import Cache, Key
from bench.store.code import code_digest


@dataclass
class Fitted:
    """A method ready to predict, and the seconds its fit took, prerequisites included."""

    method: Method
    seconds: float


@dataclass
class Fitter:
    """Fits methods on one data set as split by one seed, each distinct fit once."""

    data: Dataset
    split_seed: int
    preset: str
    device: torch.device
    cache: Cache
    console: Console
    force: bool = False
    _splits: Splits | None = None
    _others: dict[str, Fitter] = field(default_factory=dict)
    _done: dict[str, Fitted] = field(default_factory=dict)

    @property
    def splits(self) -> Splits:
        """Training, validation and test parts, read once."""
        if self._splits is None:
            self._splits = self.data.splits(self.split_seed)
        return self._splits

    def key(self, method: Method, seed: int) -> Key:
        """Return everything a fitted model depends on, in words."""
        fit_params = {k: v for k, v in method.params().items() if k not in method.predict_only}
        spec: dict[str, Any] = {
            "method": method.name,
            "version": method.version,
            "params": fit_params,
            "code": code_digest(type(method).__module__),
            "dataset": self.data.label,
            "train": self.splits.train.fingerprint,
            "val": self.splits.val.fingerprint,
            "seed": seed,
            "device": self.device.type,
            "torch": torch.__version__.split("+")[0],
        }
        for name, wanted in method.prerequisites(seed).items():
            fitter, prototype = self.about(wanted.target), self.build(wanted)
            spec[f"prerequisite {name}"] = [fitter.key(prototype, s).digest for s in wanted.seeds]
        return Key(spec)

    def about(self, target: str) -> Fitter:
        """Return what fits methods on the same inputs, asked about one attribute; "": this one."""
        if not target:
            return self
        if target not in self._others:
            self._others[target] = replace(
                self, data=single_attribute(self.data, target), _splits=None, _done={}, _others={}
            )
        return self._others[target]

    def build(self, prerequisite: Prerequisite) -> Method:
        """Return the unfitted method an prerequisite asks for, under this preset."""
        cls = subclasses(methods, Method)[prerequisite.method]
        return construct(cls, cls.defaults(self.preset) | dict(prerequisite.params))

    def is_cached(self, method: Method, seed: int) -> bool:
        """Tell whether `obtain` would fit nothing."""
        return self.cache.has(self._kind, _name(method, seed), self.key(method, seed))

    @property
    def _kind(self) -> str:
        return f"fits/{self.data.label}"

    def obtain(self, method: Method, seed: int) -> Fitted:
        """Return ``method`` fitted from ``seed``."""
        return self.obtain_many(method, [seed])[0]

    def obtain_many(self, method: Method, seeds: Sequence[int]) -> list[Fitted]:
        """Return ``method`` fitted from each seed; those not in the cache are fitted together."""
        keys = {seed: self.key(method, seed) for seed in seeds}
        found = {s: self._load(method, s, keys[s]) for s in seeds}
        if any(f is None for f in found.values()):
            with ExitStack() as locks:
                for seed in sorted(keys, key=lambda s: keys[s].digest):  # one order: no deadlock
                    locks.enter_context(
                        self.cache.lock(self._kind, _name(method, seed), keys[seed])
                    )
                found = {s: self._load(method, s, keys[s]) for s in seeds}
                missing = {s: keys[s] for s, fitted in found.items() if fitted is None}
                found |= self._fit(method, missing)
        return [fitted for fitted in found.values() if fitted is not None]

    def _load(self, method: Method, seed: int, key: Key) -> Fitted | None:
        known = self._done.get(key.digest)
        if known is None and not self.force:
            entry = self.cache.load(self._kind, _name(method, seed), key)
            if entry is not None:
                empty = construct(type(method), method.params())
                known = Fitted(empty, entry.note["seconds"])
                known.method.load_state(entry.payload, self.data.task).to(self.device)
                known.method.epoch_seconds = entry.note["epoch_seconds"]
        if known is None:
            return None
        self._done[key.digest] = known
        return Fitted(with_params(known.method, method.params()), known.seconds)

    def _fit(self, method: Method, missing: Mapping[int, Key]) -> dict[int, Fitted]:
        found: dict[int, Fitted] = {}
        groups: dict[tuple[str, ...], list[int]] = {}
        for seed in missing:  # seeds that need the same prerequisites can be trained together
            parts = [str(v) for k, v in missing[seed].spec.items() if k.startswith("prerequisite")]
            groups.setdefault(tuple(parts), []).append(seed)
        for seeds in groups.values():
            found |= self._fit_together(method, {s: missing[s] for s in seeds})
        return found

    def _fit_together(self, method: Method, missing: Mapping[int, Key]) -> dict[int, Fitted]:
        seeds = list(missing)
        given = {
            name: self.about(wanted.target).obtain_many(self.build(wanted), wanted.seeds)
            for name, wanted in method.prerequisites(seeds[0]).items()
        }
        for seed in seeds:
            changes = self.cache.nearest_miss(
                self._kind, _name(method, seed), missing[seed], same=("params", "seed")
            )
            if changes and not self.force:
                self.console.say(f"{method.name}: refitting because: {'; '.join(changes)}")
        train, val = (_on(self.device, part) for part in self.splits[:2])
        start = time.perf_counter()
        with self.console.fitting(method.name):
            fitted = method.fit_many(
                train, val, seeds=seeds,
                prerequisites={name: [f.method for f in fits] for name, fits in given.items()},
            )  # fmt: skip
        own = (time.perf_counter() - start) / len(seeds)
        seconds = own + sum(f.seconds for fits in given.values() for f in fits)
        return {
            seed: self._keep(one, seed, missing[seed], seconds)
            for seed, one in zip(seeds, fitted, strict=True)
        }

    def _keep(self, method: Method, seed: int, key: Key, seconds: float) -> Fitted:
        self.cache.keep(
            self._kind, _name(method, seed), key, method.state(),
            seconds=seconds, epoch_seconds=method.epoch_seconds,
        )  # fmt: skip
        self._done[key.digest] = fitted = Fitted(method, seconds)
        return fitted


def construct(cls: type[Method], params: Mapping[str, Value]) -> Method:
    """Return an unfitted method."""
    return cls(**params)


def with_params(method: Method, params: Mapping[str, Value]) -> Method:
    """Set the parameters that do not change the fit to the values asked for."""
    for name in method.predict_only:
        setattr(method, name, params[name])
    return method


def _name(method: Method, seed: int) -> str:
    return f"{method.name}-s{seed}"


def _on(device: torch.device, part: Split) -> Split:
    return replace(part, x=part.x.to(device), y=part.y.to(device))
