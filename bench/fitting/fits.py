"""Fitted methods: from the cache where their key matches, else fitted and kept."""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from copy import deepcopy
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import msgspec
import torch

from bench import methods
from bench.datasets.base import Dataset, Split, Splits
from bench.datasets.named import Value
from bench.datasets.single_attribute import single_attribute
from bench.discover import subclasses
from bench.errors import CodeChangedError, MethodError
from bench.fitting.console import Console
from bench.fitting.device import precision
from bench.fitting.isolation import content, isolated
from bench.methods.base import Method, Prerequisite
from bench.methods.training_log import TrainingLog
from bench.store.cache import Cache, Key
from bench.store.code import READ, changed, code_digest
from bench.store.schema import Count


@dataclass
class Fitted:
    """A method ready to predict, and how it was fitted.

    Args:
        seconds: that the fit took, prerequisites included.
        threads: of the CPU that it ran on; None: a fit of an earlier version does not say.
    """

    method: Method
    seconds: float
    threads: int | None


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
    _content: str | None = None  # digest of the training and validation parts as they were read
    _others: dict[str, Fitter] = field(default_factory=dict)
    _done: dict[str, Fitted] = field(default_factory=dict)

    @property
    def splits(self) -> Splits:
        """Training, validation and test parts, read once."""
        if self._splits is None:
            self._splits = self.data.splits(self.split_seed)
        return self._splits

    @cached_property
    def _methods(self) -> Mapping[str, type[Method]]:
        return subclasses(methods, Method)

    def key(self, method: Method, seed: int) -> Key:
        """Return everything a fitted model depends on, in words."""
        spec: dict[str, Any] = {
            "method": method.name,
            "version": method.version,
            "params": {k: v for k, v in method.params().items() if k not in method.predict_only},
            "code": code_digest(*method.code_modules(), without=READ),
            "dataset": self.data.label,
            "train": self.splits.train.fingerprint,
            "val": self.splits.val.fingerprint,
            "seed": seed,
            "device": self.device.type,
            "precision": precision(method, self.device),
            "torch": torch.__version__.split("+")[0],
        }
        if files := method.files():
            spec["files"] = [hashlib.sha256(path.read_bytes()).hexdigest()[:16] for path in files]
        for name, wanted in method.prerequisites(seed).items():
            fitter, prototype = self.about(wanted.target), self.build(wanted)
            spec[f"prerequisite {name}"] = [fitter.key(prototype, s).digest for s in wanted.seeds]
        return Key(spec)

    def about(self, target: str) -> Fitter:
        """Return the fitter for one attribute of the same inputs; "" means this fitter."""
        if not target:
            return self
        if target not in self._others:
            self._others[target] = replace(
                self, data=single_attribute(self.data, target),
                _splits=None, _content=None, _done={}, _others={},
            )  # fmt: skip
        return self._others[target]

    def build(self, prerequisite: Prerequisite) -> Method:
        """Return the unfitted method a prerequisite asks for, under this preset."""
        cls = self._methods[prerequisite.method]
        return construct(cls, cls.defaults(self.preset) | dict(prerequisite.params))

    def is_cached(self, method: Method, seed: int) -> bool:
        """Return whether `obtain` would fit nothing."""
        return self.cache.has(self._kind, _name(method, seed), self.key(method, seed))

    @property
    def _kind(self) -> str:
        return f"fits/{self.data.label}"

    def obtain(self, method: Method, seed: int) -> Fitted:
        """Return ``method`` fitted from ``seed``."""
        return self.obtain_many(method, [seed])[0]

    def obtain_many(self, method: Method, seeds: Sequence[int]) -> list[Fitted]:
        """Return ``method`` fitted from each seed; each fit is kept when it is made.

        Raises:
            MethodError: the method changed its training data or tried to end the process.
            CodeChangedError: its source was edited since the run started.
        """
        keys = {seed: self.key(method, seed) for seed in seeds}
        fits: dict[int, Fitted] = {}
        for group in _groups(method, keys):
            first, last = len(fits) + 1, len(fits) + len(group)
            numbers = f"{first}" if first == last else f"{first} to {last}"
            title = method.name + (f", member {numbers} of {len(keys)}" if len(keys) > 1 else "")
            fits |= self._obtain_group(method, {s: keys[s] for s in group}, title)
        return [fits[seed] for seed in seeds]

    def _obtain_group(
        self, method: Method, keys: Mapping[int, Key], title: str
    ) -> dict[int, Fitted]:
        fits = self._load_all(method, keys)
        if len(fits) < len(keys):
            with ExitStack() as locks:
                for seed in sorted(keys, key=lambda s: keys[s].digest):  # one order: no deadlock
                    lock = self.cache.lock(self._kind, _name(method, seed), keys[seed])
                    locks.enter_context(lock)
                fits = self._load_all(method, keys)  # another run may have made them meanwhile
                missing = {seed: key for seed, key in keys.items() if seed not in fits}
                if missing:
                    fits |= self._fit(method, missing, title)
        return fits

    def _load_all(self, method: Method, keys: Mapping[int, Key]) -> dict[int, Fitted]:
        loaded = {seed: self._load(method, seed, key) for seed, key in keys.items()}
        return {seed: fitted for seed, fitted in loaded.items() if fitted is not None}

    def _load(self, method: Method, seed: int, key: Key) -> Fitted | None:
        known = self._done.get(key.digest)
        if known is None and not self.force:

            def read(state: Any, note: Mapping[str, Any]) -> Fitted:
                again = construct(type(method), method.params()).load_state(state, self.data.task)
                _must_have_form(again.state(), state)
                again.log = _log(note["log"])
                seconds = _duration(note["seconds"])
                threads = msgspec.convert(note.get("threads"), Count | None)
                return Fitted(again.to(self.device), seconds, threads)

            known = self.cache.load(self._kind, _name(method, seed), key, read)
        if known is None:
            return None
        self._done[key.digest] = known
        return replace(known, method=with_params(known.method, method.params()))

    def _fit(self, method: Method, missing: Mapping[int, Key], title: str) -> dict[int, Fitted]:
        seeds = list(missing)
        prerequisites = {
            name: self.about(wanted.target).obtain_many(self.build(wanted), wanted.seeds)
            for name, wanted in method.prerequisites(seeds[0]).items()
        }
        for seed in seeds:
            changes = self.cache.nearest_miss(
                self._kind, _name(method, seed), missing[seed], same=("params", "seed")
            )
            if changes and not self.force:
                self.console.say(f"{method.name}: refitting because: {'; '.join(changes)}")
        start = time.perf_counter()
        with self._data_kept(method) as (train, val), self.console.fitting(title):
            # Copies, so that a method that changes a prerequisite changes no other method's.
            copies = {k: [deepcopy(f.method) for f in fits] for k, fits in prerequisites.items()}
            with isolated(method.name, self.device):
                fitted = method.fit_many(train, val, seeds=seeds, prerequisites=copies)
        own = (time.perf_counter() - start) / len(seeds)
        seconds = own + sum(f.seconds for fits in prerequisites.values() for f in fits)
        return {
            seed: self._keep(one, seed, missing[seed], seconds)
            for seed, one in zip(seeds, fitted, strict=True)
        }

    @contextmanager
    def _data_kept(self, method: Method) -> Iterator[tuple[Split, Split]]:
        """Yield training and validation parts; raise if a fit changed them, and read them anew."""
        if self._content is None:
            self._content = content(*self.splits[:2])
        elif not self._data_is_whole():  # an earlier method kept them, and changed them later
            self._must_be_read_anew()
        problem: Exception | None = None
        try:
            yield _on(self.device, self.splits.train), _on(self.device, self.splits.val)
        except Exception as error:
            problem = error
        if not self._data_is_whole():
            raise MethodError(
                f"{method.name} changed its training or validation data in place; "
                "clone a tensor before changing it"
            ) from problem
        if problem:
            raise problem

    def _data_is_whole(self) -> bool:
        return content(*self.splits[:2]) == self._content

    def _must_be_read_anew(self) -> None:
        self._splits = None
        if not self._data_is_whole():
            raise MethodError(
                f"{self.data.label}: a method changed the data in memory; run the same command "
                "again without that method"
            )

    def _keep(self, method: Method, seed: int, key: Key, seconds: float) -> Fitted:
        must_be_unchanged(method.name, method.code_modules())
        with isolated(method.name, self.device):
            state = method.state()
        threads = torch.get_num_threads()
        self.cache.keep(
            self._kind, _name(method, seed), key, state,
            seconds=seconds, threads=threads, log=msgspec.to_builtins(method.log),
        )  # fmt: skip
        self._done[key.digest] = fitted = Fitted(method, seconds, threads)
        return fitted


def must_be_unchanged(name: str, modules: Iterable[str]) -> None:
    """Check that the source of modules is what it was when the run started.

    Raises:
        CodeChangedError: it was edited, so the key no longer names the code that ran.
    """
    if edited := changed(*modules):
        names = ", ".join(path.name for path in edited)
        raise CodeChangedError(f"{name}: its source changed during the run ({names}); run again")


def _must_have_form(loaded: Any, kept: Any) -> None:
    """Raise if a state that was loaded had to be converted: what was kept is not what was fitted.

    Networks take weights of another type in silence.
    """
    if isinstance(kept, torch.Tensor) and isinstance(loaded, torch.Tensor):
        forms = [(tensor.dtype, tensor.shape) for tensor in (kept, loaded)]
        if forms[0] != forms[1]:
            raise ValueError(f"a tensor of {forms[0]}, not {forms[1]}")
    elif isinstance(kept, Mapping) and isinstance(loaded, Mapping):
        for name in kept.keys() & loaded.keys():
            _must_have_form(loaded[name], kept[name])


def construct(cls: type[Method], params: Mapping[str, Value]) -> Method:
    """Return an unfitted method."""
    return cls(**params)


def with_params(method: Method, params: Mapping[str, Value]) -> Method:
    """Set the parameters that do not change the fit to the values asked for."""
    for name in method.predict_only:
        setattr(method, name, params[name])
    return method


def _groups(method: Method, keys: Mapping[int, Key]) -> list[list[int]]:
    """Return the seeds that are fitted in one call: one, unless the method stacks trainings.

    Only seeds that need the same prerequisites are stacked.
    """
    if type(method).fit_many is Method.fit_many:
        return [[seed] for seed in keys]
    groups: dict[str, list[int]] = {}
    for seed, key in keys.items():
        needs = str([v for name, v in key.spec.items() if name.startswith("prerequisite")])
        groups.setdefault(needs, []).append(seed)
    return list(groups.values())


def _duration(seconds: Any) -> float:
    """Return a kept number of seconds, or raise a ValueError if it can be none."""
    is_number = isinstance(seconds, int | float) and not isinstance(seconds, bool)
    if not (is_number and 0 <= seconds < math.inf):
        raise ValueError(f"{seconds!r} is no number of seconds")
    return float(seconds)


def _log(note: Any) -> TrainingLog | None:
    """Return a kept log of training, or raise a ValueError if it is none."""
    return None if note is None else msgspec.convert(note, TrainingLog)


def _name(method: Method, seed: int) -> str:
    return f"{method.name}-s{seed}"


def _on(device: torch.device, part: Split) -> Split:
    return replace(part, x=part.x.to(device), y=part.y.to(device))
