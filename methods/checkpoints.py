"""Networks and weights from a user's files, without ever running code from a pickle."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import logging
import os
import pickle
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, fx, nn

from bench.datasets.errors import BenchError

SHOWN = 3  # names in a message
NESTED = ("state_dict", "model_state_dict", "model")  # where training scripts put a state dict
SAFE_LOADING = "TORCH_FORCE_WEIGHTS_ONLY_LOAD"


def factory_file(factory: str) -> Path | None:
    """Return the Python file that a factory is in, or None where it is in a module."""
    place = factory.rpartition(":")[0]
    return Path(place).expanduser() if place.endswith(".py") else None


def called_factory(factory: str, model: str, classes: int) -> nn.Module:
    """Return the network that ``file.py:function`` or ``module:function`` makes.

    Raises:
        BenchError: there is no such function, it raises, or it returns no `nn.Module`.
    """
    place, _, name = factory.rpartition(":")
    if not place or not name:
        raise BenchError(f"factory={factory} is no file.py:function or module:function")
    path = factory_file(factory)
    with _importable(path):
        try:
            module = _from_file(path) if path else importlib.import_module(place)
        except (Exception, SystemExit) as error:  # whatever a file of the user's raises
            raise BenchError(f"factory={factory} cannot be imported ({_reason(error)})") from error
        function = getattr(module, name, None)
        if not callable(function):
            raise BenchError(f"factory={factory}: {place} has no function '{name}'")
        try:
            net = function(*([model] if model else []), **_accepted(function, classes))
        except (Exception, SystemExit) as error:
            raise BenchError(f"factory={factory} failed ({_reason(error)})") from error
    if not isinstance(net, nn.Module):
        raise BenchError(f"factory={factory} returned {type(net).__name__}, not a torch.nn.Module")
    return net


def _from_file(path: Path) -> Any:
    if not path.is_file():
        raise FileNotFoundError("there is no such file")
    spec = importlib.util.spec_from_file_location(f"bench_factory_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise ImportError("it is no Python file")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@contextmanager
def _importable(path: Path | None) -> Iterator[None]:
    """Let a file import those beside it, as it would when run as a script."""
    before = list(sys.path)
    if path:
        sys.path.insert(0, str(path.resolve().parent))
    try:
        yield
    finally:
        sys.path[:] = before


def _accepted(function: Callable[..., Any], classes: int) -> dict[str, int]:
    parameters = inspect.signature(function).parameters.values()
    takes = any(p.name == "num_classes" or p.kind is p.VAR_KEYWORD for p in parameters)
    return {"num_classes": classes} if takes else {}


def read_weights(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a state dict by name.

    Raises:
        BenchError: there is no such file, it is damaged, or it holds more than tensors.
    """
    if not path.is_file():
        raise BenchError(f"there is no file {path}; check weights=")
    if path.suffix == ".safetensors":
        return _read_safetensors(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            read = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise BenchError(
            f"{path} is a pickle of more than tensors, which can run code, and is not loaded; "
            "save the network's state_dict() instead"
        ) from error
    except Exception as error:  # torch passes on whatever a damaged file leads it to
        raise BenchError(
            f"{path} is damaged, or not what torch.save writes of a state_dict() ({_reason(error)})"
        ) from error
    return _tensors(read, path)


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        from safetensors.torch import load_file
    except ImportError:
        raise BenchError(f"{path} needs safetensors; pip install bench[pretrained]") from None
    try:
        return load_file(path)
    except Exception as error:
        raise BenchError(f"{path} is no safetensors file ({_reason(error)})") from error


def _tensors(read: object, path: Path) -> dict[str, Tensor]:
    """Find the state dict in what a training script saved."""
    for name in NESTED:
        if isinstance(read, Mapping) and isinstance(read.get(name), Mapping):
            read = read[name]
    if not isinstance(read, Mapping) or not any(isinstance(v, Tensor) for v in read.values()):
        raise BenchError(f"{path} holds no state dict, but {type(read).__name__}")
    return {str(k): v for k, v in read.items() if isinstance(v, Tensor)}


def load_weights(net: nn.Module, weights: Mapping[str, Tensor], path: str) -> None:
    """Fill a network with weights, every one of them.

    Raises:
        BenchError: some are missing, unexpected, of another shape, or not finite; named.
    """
    own = net.state_dict()
    weights = _without_wrapper(weights, own)
    shapes = [
        f"{k} ({_shape(weights[k])} for {_shape(v)})"
        for k, v in own.items()
        if k in weights and weights[k].shape != v.shape
    ]
    problems = [
        ("missing", sorted(own.keys() - weights.keys())),
        ("unexpected", sorted(weights.keys() - own.keys())),
        ("of another shape", shapes),
        ("not finite", [k for k, v in weights.items() if k in own and not v.isfinite().all()]),
    ]
    if found := [f"{what}: {_listed(names)}" for what, names in problems if names]:
        raise BenchError(f"the weights {path} do not fit the network; {'; '.join(found)}")
    net.load_state_dict(dict(weights))


def _without_wrapper(weights: Mapping[str, Tensor], own: Mapping[str, Any]) -> Mapping[str, Tensor]:
    """Drop the first word of all names if that makes them the network's own.

    Parallel training puts "module." there, torch.compile "_orig_mod.", a Lightning module "model.".
    """
    inner = {name.partition(".")[2]: values for name, values in weights.items()}
    one_word = len({name.partition(".")[0] for name in weights}) == 1
    return inner if one_word and inner.keys() == own.keys() else weights


def load_program(path: Path) -> nn.Module:
    """Return the network of an exported program, as torch.export.save wrote it.

    Raises:
        BenchError: there is no such file, it is damaged, or it holds a pickle of more than tensors.
    """
    if not path.is_file():
        raise BenchError(f"there is no file {path}; check weights=")
    from torch.export import load

    # `load` falls back to a full unpickling without this, with no more than a warning.
    before = os.environ.get(SAFE_LOADING)
    os.environ[SAFE_LOADING] = "1"
    log = logging.getLogger("torch.export")
    level = log.level
    log.setLevel(logging.CRITICAL)  # it prints the traceback of every attempt
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return Program(load(path).module())
    except Exception as error:
        raise BenchError(f"{path} is no exported program ({_reason(error)})") from error
    finally:
        log.setLevel(level)
        if before is None:
            del os.environ[SAFE_LOADING]
        else:
            os.environ[SAFE_LOADING] = before


class Program(nn.Module):
    """An exported program, which has no layers to hook, and the input of its last linear map."""

    graph: fx.GraphModule

    def __init__(self, graph: nn.Module) -> None:
        super().__init__()
        if not isinstance(graph, fx.GraphModule):
            raise BenchError("the program has no graph")
        self.__dict__["graph"] = graph  # no submodule: it refuses eval()
        linear = {torch.ops.aten.linear.default: 0, torch.ops.aten.addmm.default: 1}
        found = [n for n in graph.graph.nodes if n.target in linear]
        self.head = found[-1] if found else None
        self.argument = linear[found[-1].target] if found else 0

    def forward(self, x: Tensor) -> Tensor:
        return self.graph(x)

    def with_features(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return what the program returns, and the input of its last linear map."""
        if self.head is None:
            raise BenchError("the program has no linear layer, so no features")
        recorder = _Recorder(self.graph, self.head.args[self.argument])
        return recorder.run(x), recorder.value

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Program:
        self.graph._apply(fn, recurse)
        return self


class _Recorder(fx.Interpreter):
    """Runs a graph and keeps the value of one node."""

    def __init__(self, graph: fx.GraphModule, node: fx.Node) -> None:
        super().__init__(graph)
        self.node = node
        self.value = torch.empty(0)

    def run_node(self, node: fx.Node) -> Any:
        value = super().run_node(node)
        if node is self.node:
            self.value = value
        return value


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


def _shape(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape)) or "one number"


def _reason(error: BaseException) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:160]}"
