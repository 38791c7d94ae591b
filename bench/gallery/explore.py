"""``bench explore``: a fitted DecNN or ReDecNN as one HTML page in which the network runs.

The page holds the weights of f and g and a few inputs of every kind; it decodes, classifies,
walks and votes by itself, without a server. `explore.js` says how.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from torch import Tensor, nn

from bench.errors import UsageError
from bench.fitting.console import Console
from bench.fitting.evaluator import Evaluator
from bench.gallery import examples, privacy
from bench.gallery.examples import Examples, headline, point_prediction
from bench.methods.backbones.mlp import Block
from bench.methods.base import Method
from bench.methods.nets import ACTIVATIONS, Classifier, Decodable
from bench.running.plan import Job
from bench.running.run import Settings, fitter_for, prepare
from bench.scenarios.base import scored
from bench.store import files

HERE = Path(__file__).parent
Op = dict[str, str | int | float]

CLASSES = 10  # inputs to begin with: one of each class
CHANGED = 6  # of these, shown under every change
CORRUPTIONS = 5
STRENGTHS = (0.1, 0.3)  # of FGSM, in units of the pixel range
FOREIGN = 6  # inputs of each outlier source
HALF_ABOVE = 1_000_000  # parameters: larger networks are stored as float16, which halves the file


def write(job: Job, settings: Settings, console: Console, path: Path) -> None:
    """Write the page of a job's method to ``path``, fitting it first if need be.

    Raises:
        UsageError: the method has no decoder, or its network is not one the page can run; or the
            page would show people where it could be committed.
        WriteError: the page cannot be written.
    """
    examples.must_have_pictures(job.data)
    privacy.must_stay_private(job.data, path)
    must_be_runnable(job.method)
    prepare([job], settings)
    evaluator = Evaluator(job.label, job.method, job.seed, fitter_for(job, settings, console))
    net = network(evaluator.fitted().method)
    shown = chosen(evaluator)
    facts = about(evaluator, shown, settings.preset)
    page = render(model=model(net), weights=weights(net), pixels=pixels(shown), about=facts)
    files.write(path, page)


def render(page: str = "explore", **parts: Any) -> str:
    """Return a page with style, script and all that it shows inside."""
    room = Environment(loader=FileSystemLoader(HERE), undefined=StrictUndefined, autoescape=True)
    css, js = (Markup((HERE / file).read_text("utf-8")) for file in ("explore.css", f"{page}.js"))
    return room.get_template(f"{page}.html.j2").render(**parts, css=css, js=js)


def must_be_runnable(method: Method) -> None:
    """Raise before any training where the method has no decoder."""
    if not method.decodes:
        raise UsageError(
            f"explore shows what activations decode to, and {method.name} has no decoder; "
            "choose decnn or redecnn"
        )
    params = method.params()
    for name, known in (("backbone", ("mlp",)), ("decoder", ("auto", "mlp"))):
        if params[name] not in known:
            raise UsageError(
                f"explore runs the network in the page and knows fully connected ones alone, "
                f"not {name}={params[name]}; `python -m bench draw` shows its decodings"
            )


def network(method: Method) -> Decodable:
    """Return the fitted network, or raise where the page could not run it."""
    net = getattr(method, "net", None)
    if not (isinstance(net, Decodable) and _is_plain(net)):
        raise UsageError(
            f"explore knows networks of Linear, LayerNorm and ReLU or GELU alone, and that of "
            f"{method.name} is another; `python -m bench draw` shows its decodings"
        )
    return net


def _is_plain(net: Decodable) -> bool:
    f, g = net.classifier, net.decoder
    return (
        (type(f), type(f.stem), type(f.summary)) == (Classifier, nn.Flatten, nn.Identity)
        and all(type(b) is Block and type(b.linear) is nn.Linear for b in f.blocks)
        and isinstance(g.layers, nn.Sequential)
        and all(type(layer) in (nn.Linear, nn.LayerNorm, nn.ReLU) for layer in g.layers)
    )


def model(net: Decodable) -> dict[str, Any]:
    """Return f and g as lists of steps, in the order in which `weights` has their numbers."""
    f, g = net.classifier, net.decoder
    return {
        "type": "float16" if _is_large(net) else "float32",
        "blocks": [[op for op, _ in _block(b)] for b in f.blocks],  # type: ignore[arg-type]
        "head": [op for op, _ in _step(f.head)],
        "decoder": [op for layer in g.layers.children() for op, _ in _step(layer)]
        + [{"op": "sigmoid"}],
    }


def weights(net: Decodable) -> str:
    """Return every number of f and g, little-endian, as base64."""
    f, g = net.classifier, net.decoder
    steps = [step for b in f.blocks for step in _block(b)]  # type: ignore[arg-type]
    steps += [step for layer in (f.head, *g.layers.children()) for step in _step(layer)]
    flat = torch.cat([t.detach().cpu().flatten().float() for _, ts in steps for t in ts])
    kind = "<f2" if _is_large(net) else "<f4"
    return base64.b64encode(flat.numpy().astype(kind).tobytes()).decode()


def _is_large(net: nn.Module) -> bool:
    return sum(p.numel() for p in net.parameters()) > HALF_ABOVE


def _block(block: Block) -> list[tuple[Op, Sequence[Tensor]]]:
    name = next(name for name, function in ACTIVATIONS.items() if function is block.activation)
    return [*_step(block.linear), *_step(block.norm), ({"op": name}, ())]


def _step(layer: nn.Module) -> Iterator[tuple[Op, Sequence[Tensor]]]:
    """Yield one layer as a step, with its numbers."""
    if isinstance(layer, nn.Linear):
        op: Op = {"op": "linear", "in": layer.in_features, "out": layer.out_features}
        yield op, (layer.weight, layer.bias)
    elif isinstance(layer, nn.LayerNorm):
        yield (
            {"op": "norm", "out": layer.weight.numel(), "eps": layer.eps},
            (layer.weight, layer.bias),
        )
    else:
        yield {"op": "relu"}, ()


def chosen(evaluator: Evaluator) -> list[Examples]:
    """Return the inputs of the page: clean, mistaken, changed in every way, and foreign."""
    firsts = examples.one_of_each_class(evaluator.test, CLASSES)
    changed = firsts[:CHANGED]
    groups = [
        examples.clean(evaluator.test, firsts),
        examples.mistakes(evaluator, CLASSES),
        *examples.corrupted(evaluator, changed, CORRUPTIONS),
        *examples.adversarial(evaluator, changed, STRENGTHS),
        *examples.outliers(evaluator, FOREIGN),
    ]
    return [group for group in groups if len(group.x)]


def pixels(shown: Sequence[Examples]) -> str:
    """Return all inputs, one after the other, a byte a value, as base64."""
    return base64.b64encode(torch.cat([s.x for s in shown]).numpy().tobytes()).decode()


def about(evaluator: Evaluator, shown: Sequence[Examples], preset: str) -> dict[str, Any]:
    """Return all facts of the page: of the method, the data and each input."""
    task, method = evaluator.data.task, evaluator.method
    return {
        "method": evaluator.label,
        "data": evaluator.data.label,
        "kind": evaluator.data.kind,
        "seed": evaluator.seed,
        "preset": preset,
        "shape": task.shape,
        "targets": task.targets,
        "classes": task.classes,
        "depth": method.params().get("depth", 1),
        "samples": method.params().get("samples", method.params()["blocks"]),
        "accuracy": _accuracy(evaluator),
        "score": headline(evaluator).label,
        "people": privacy.shows_people(evaluator.data),
        "inputs": list(_inputs(evaluator, shown)),
    }


def _accuracy(evaluator: Evaluator) -> float:
    probs = point_prediction(evaluator, evaluator.predict(evaluator.clean))
    return float((probs.argmax(-1) == evaluator.test.y).double().mean())


def _inputs(evaluator: Evaluator, shown: Sequence[Examples]) -> Iterator[dict[str, Any]]:
    """Yield each input with its label, probabilities and score.

    ``above`` is the share of clean test inputs with a lower score.
    """
    score = headline(evaluator)
    clean = scored(score, evaluator.predict(evaluator.clean)).sort().values
    for group in shown:
        prediction = evaluator.predict(group.view)
        probs = point_prediction(evaluator, prediction)
        uncertainty = scored(score, prediction)
        below = torch.searchsorted(clean, uncertainty) / len(clean)
        for i in range(len(group.x)):
            yield {
                "group": group.group,
                "name": group.name,
                "label": None if group.y is None else group.y[i].tolist(),
                "row": None if group.rows is None else int(group.rows[i]),
                "score": round(float(uncertainty[i]), 4),
                "above": round(float(below[i]), 4),
                "probs": np.round(probs[i].flatten().numpy(), 5).tolist(),
            }
