"""``bench draw``: decodings, paths, attribution maps, certain and uncertain inputs, corruptions.

Pictures of single inputs, from cached fits and predictions; `bench.report` draws the numbers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from bench.datasets.base import Dataset, as_floats, generator
from bench.fitting.attributions import LogOdds, importance, integrated_gradients
from bench.fitting.console import Console
from bench.fitting.evaluator import Evaluator
from bench.fitting.isolation import isolated
from bench.gallery import decodings, examples, painting, privacy
from bench.gallery.examples import headline, point_prediction
from bench.methods.nets import Decodable
from bench.methods.prototypes import Prototypes
from bench.metrics.attribution import kendall
from bench.report import style
from bench.running.plan import Job
from bench.running.run import Settings, fitter_for, prepare
from bench.scenarios.attribution import DECODED, Attribution, changes, decoding
from bench.scenarios.base import scored
from bench.scenarios.cross_dataset import CrossDataset
from bench.scenarios.likelihoods import BITS
from bench.store.files import slug, write

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ROWS = 5  # inputs of a figure of decodings
SPOKEN = 3  # of these where the inputs are spectrograms, of which every second layer is shown
HISTOGRAM = 1000  # inputs of each outlier set in a histogram of likelihoods
BINS = 60
EXTREMES = 10  # inputs of least and of most uncertainty
ACROSS = 5  # pictures side by side in a column


def draw(jobs: Sequence[Job], settings: Settings, console: Console, folder: Path) -> Iterator[Path]:
    """Write every figure of every job to ``folder`` and yield their paths.

    Raises:
        UsageError: a figure would show people where it could be committed.
    """
    for job in jobs:
        examples.must_have_pictures(job.data)
        privacy.must_stay_private(job.data, folder / f"{privacy.prefix(job.data)}picture.png")
    prepare(jobs, settings)
    seen: set[str] = set()
    for job in jobs:
        evaluator = Evaluator(job.label, job.method, job.seed, fitter_for(job, settings, console))
        with style.look():
            written = list(_drawn(evaluator, folder, seen))
        yield from written


def _drawn(evaluator: Evaluator, folder: Path, seen: set[str]) -> Iterator[Path]:
    """Write the figures of one evaluator, and those of its data set once."""
    if evaluator.data.label not in seen:
        seen.add(evaluator.data.label)
        figure = corruptions(evaluator)
        if figure is not None:
            yield from _write(figure, folder, "corruptions", evaluator.data)
    for kind, figure in figures(evaluator):
        yield from _write(figure, folder, kind, evaluator.data, f"-{slug(evaluator.label)}")


def figures(evaluator: Evaluator) -> Iterator[tuple[str, Figure]]:
    """Yield each figure of one fitted method with its kind."""
    if (figure := uncertain(evaluator)) is not None:
        yield "uncertain", figure
    net = decodings.decodable(evaluator.fitted().method)
    if net is not None:
        yield "decoded", decoded(evaluator, net)
        yield "path", path(evaluator, net)
    if (figure := attributions(evaluator)) is not None:
        yield "attributions", figure
    if isinstance(method := evaluator.fitted().method, Prototypes):
        yield "prototypes", prototypes(evaluator, method)
    if BITS in evaluator.predict(evaluator.clean).extras:
        yield "likelihoods", likelihoods(evaluator)


def decoded(evaluator: Evaluator, net: Decodable) -> Figure:
    """Decodings g(h_l), a row for each input and a column for each layer (A.3; speech: F2)."""
    rows, layers = _examples(evaluator), range(len(net.classifier.blocks))
    if evaluator.data.modality == "sound":
        layers = layers[1::2]
    strips = []
    for x in evaluator.test.floats(rows).to(evaluator.fitter.device):
        shown = decodings.layer_by_layer(net, x)
        strips.append([shown[0], *(shown[1 + layer] for layer in layers)])
    names = ["$x$", *(f"$g(h_{layer + 1})$" for layer in layers)]
    figure, axes = painting.grid(len(strips), len(names), painting.lines(evaluator.data))
    for strip, line in zip(strips, axes, strict=True):
        painting.row(line, strip, evaluator.data)
    for axis, name in zip(axes[0], names, strict=True):
        axis.set_title(name, pad=3)
    return figure


def path(evaluator: Evaluator, net: Decodable) -> Figure:
    """One input decoded layer by layer, and below it a path of decodings of decodings (F1)."""
    data, x = evaluator.data, _uncertain_and_right(evaluator)
    blocks = len(net.classifier.blocks)
    depth = min(getattr(evaluator.method, "depth", blocks), blocks)
    layers = torch.randint(blocks, (depth,), generator=generator("path", data.label))
    above, below = decodings.layer_by_layer(net, x), decodings.along(net, x, layers.tolist())
    figure, axes = painting.grid(2, len(above), painting.lines(data), gap=0.24)
    painting.row(axes[0], above, data)
    painting.row(axes[1], below, data)
    for layer, axis in enumerate(axes[0]):
        axis.set_title("$x$" if layer == 0 else f"$g(h_{layer})$", pad=3)
    for d, axis in enumerate(axes[1][: len(below)]):
        step = f"g(h_{int(layers[d - 1]) + 1})" if d else "x"
        axis.set_title(f"$x_{d} = {step}$", pad=3)
    for axis in axes[1][len(below) :]:
        axis.set_axis_off()
    return figure


def attributions(evaluator: Evaluator) -> Figure | None:
    """Versions of an input beside their integrated gradients, a row for each input.

    Maps are of the class that the mean prediction gives the input itself; below them is Kendall's
    tau with its map, by magnitude. None without Captum, a gradient, or one class to attribute.
    """
    data, scenario = evaluator.data, Attribution(maps=("ig",))
    if scenario.skip(data) is not None:
        return None
    versions = _versions(evaluator, examples.one_of_each_class(evaluator.test, ROWS))
    n, x = len(versions["$x$"]), torch.cat([*versions.values()]).to(evaluator.fitter.device)
    f = LogOdds(evaluator.fitted().method, evaluator.prediction_seed)
    with isolated(evaluator.label, evaluator.fitter.device):
        if not f.has_gradient(x):
            return None
        with torch.no_grad():
            odds = f(x)
        classes = odds[:n].argmax(1).repeat(len(versions))
        maps = integrated_gradients(f, x, classes, steps=scenario.steps).cpu()
    ranks = importance(maps).numpy()
    tau = kendall(np.tile(ranks[:n], (len(versions), 1)), ranks)
    probs = odds.sigmoid().cpu()[:, None]
    figure, axes = painting.grid(n, 2 * len(versions), 1)
    for i, (image, one) in enumerate(zip(x.cpu(), maps, strict=True)):
        left, right = axes[i % n][2 * (i // n) :][:2]
        painting.picture(left, image, data)
        left.set_xlabel(painting.words(probs[i], data), labelpad=2)
        _signed(right, one)
        right.set_xlabel("" if i < n else f"$\\tau$ {painting.number(tau[i])}", labelpad=2)
    for axis, name in zip(axes[0][::2], versions, strict=True):
        axis.set_title(name, pad=3)
    return figure


def _versions(evaluator: Evaluator, rows: Tensor) -> dict[str, Tensor]:
    """Return test inputs as they are and otherwise, each (n, C, H, W), float32, by name."""
    x, scenario = evaluator.test.floats(rows), Attribution()
    found = {"$x$": x}
    for view in examples.corruption_views(evaluator):
        if view.name in scenario.corruptions[1:]:
            found[view.name.replace("_", " ")] = as_floats(view.load()[rows])
    for attacked in examples.adversarial(evaluator, rows, (scenario.eps,)):
        found[attacked.name] = as_floats(attacked.x)
    return found | ({"$g(h_L)$": decoding(evaluator, x)} if DECODED in changes(evaluator) else {})


def _signed(axis: Axes, values: Tensor) -> None:
    """Draw a map (C, H, W), summed over channels: red speaks for the class, blue against it."""
    summed = values.sum(0).numpy()
    most = float(np.abs(summed).max()) or 1.0
    axis.imshow(summed, cmap="RdBu_r", vmin=-most, vmax=most, interpolation="nearest")
    axis.set(xticks=[], yticks=[])
    axis.grid(visible=False)


def _uncertain_and_right(evaluator: Evaluator) -> Tensor:
    """Return the test input (C, H, W) of highest uncertainty among those predicted rightly."""
    prediction = evaluator.predict(evaluator.clean)
    classes = point_prediction(evaluator, prediction).argmax(-1)
    right = (classes == evaluator.test.y).double().mean(-1)
    uncertainty = scored(headline(evaluator), prediction).masked_fill(
        right < right.max(), -torch.inf
    )
    return evaluator.test.floats(uncertainty.argmax()[None]).to(evaluator.fitter.device)[0]


def uncertain(evaluator: Evaluator) -> Figure | None:
    """The test inputs of lowest and of highest uncertainty (A.5); None where all are alike."""
    score, prediction = headline(evaluator), evaluator.predict(evaluator.clean)
    uncertainty, probs = scored(score, prediction), point_prediction(evaluator, prediction)
    if uncertainty.min() == uncertainty.max():
        return None
    order = uncertainty.argsort(stable=True)
    chosen = torch.cat([order[:EXTREMES], order[-EXTREMES:].flip(0)])
    lines = len(chosen) // ACROSS
    labels = [
        f"{_class_in_words(evaluator, probs[row], row)}\n{float(uncertainty[row]):.3f}"
        for row in chosen.tolist()
    ]
    most = 1 + max(label.count("\n") for label in labels)
    figure, axes = painting.grid(lines, ACROSS, most, width=style.WIDTH, gap=0.12)
    places = [axis for line in axes for axis in line]
    for axis, row, label in zip(places, chosen.tolist(), labels, strict=True):
        painting.picture(axis, as_floats(evaluator.test.x[row]), evaluator.data)
        axis.set_xlabel(label, labelpad=2, linespacing=1.1)
    for line, words in ((0, "lowest"), (lines // 2, "\nhighest")):
        axes[line][0].set_title(f"{words} {score.label}", loc="left", pad=4)
    return figure


def _class_in_words(evaluator: Evaluator, probs: Tensor, row: int) -> str:
    """Return the class of an input and, in a second line where it differs, the predicted one."""
    predicted, y = probs.argmax(-1), evaluator.test.y[row]
    if len(y) > 1:
        return f"{int((predicted == y).sum())} of {len(y)} right"
    classes = evaluator.data.task.classes
    label, read = classes[int(y[0])], classes[int(predicted[0])]
    return label if label == read else f"{label}\n→ {read}"


def prototypes(evaluator: Evaluator, method: Prototypes) -> Figure:
    """Every prototype decoded, by class, with the class and probability that it has itself."""
    images, logits = (part.cpu() for part in method.drawn())
    order = logits[:, 0].argmax(-1).argsort(stable=True)
    data, across = evaluator.data, min(ACROSS, len(images))
    figure, axes = painting.grid(
        -(-len(images) // across), across, painting.lines(data), width=style.WIDTH
    )
    places = [a for line in axes for a in line]
    for axis, image, probs in zip(places, images[order], logits[order].softmax(-1), strict=False):
        painting.picture(axis, image, data)
        axis.set_xlabel(painting.words(probs, data), labelpad=2, linespacing=1.1)
    for axis in places[len(images) :]:
        axis.set_axis_off()
    return figure


def likelihoods(evaluator: Evaluator) -> Figure:
    """Histograms of the bits per dimension of the test part and of every outlier set."""
    bits = {"test part": evaluator.predict(evaluator.clean).extras[BITS].numpy()}
    for view in CrossDataset(cap=HISTOGRAM).views(evaluator).found:
        bits[view.name] = evaluator.predict(view).extras[BITS].numpy()
    everything = np.concatenate(list(bits.values()))
    low, high = np.quantile(everything, [0.005, 0.995]).tolist()
    edges = np.linspace(low, high, BINS + 1)
    figure = style.canvas(0.8 + 0.55 * len(bits), width=style.WIDTH)
    axes = figure.subplots(len(bits), 1, sharex=True, squeeze=False)[:, 0]
    for axis, (name, values) in zip(axes, bits.items(), strict=True):
        colour = painting.SAME if name == "test part" else painting.OTHER
        axis.hist(values.clip(edges[0], edges[-1]), edges, color=colour, density=True)
        axis.set_ylabel(name.replace("_", " "), rotation=0, ha="right", va="center")
        axis.set_yticks([])
        style.despine(axis)
    axes[-1].set_xlabel("bits per dimension; the rightmost and leftmost bars hold all beyond")
    return figure


def corruptions(evaluator: Evaluator) -> Figure | None:
    """One test input and all its corruptions (A.4); None where the data has none."""
    corrupted = examples.corrupted(evaluator, torch.tensor([0]))
    if not corrupted:
        return None
    images = [("as it is", evaluator.test.x[0]), *((s.name, s.x[0]) for s in corrupted)]
    across = 4
    figure, axes = painting.grid(-(-len(images) // across), across, 1, width=style.WIDTH)
    places = [a for line in axes for a in line]
    for axis, (name, image) in zip(places, images, strict=False):
        painting.picture(axis, as_floats(image), evaluator.data)
        axis.set_xlabel(name.replace("_", " "), labelpad=2)
    for axis in places[len(images) :]:
        axis.set_axis_off()
    return figure


def _examples(evaluator: Evaluator) -> Tensor:
    """Return the test inputs to decode: the first of each class; of speech, random ones."""
    if evaluator.data.modality != "sound":
        return examples.one_of_each_class(evaluator.test, ROWS)
    drawn = torch.randperm(len(evaluator.test), generator=generator("shown", evaluator.data.label))
    return drawn[:SPOKEN]


def _write(
    figure: Figure, folder: Path, kind: str, data: Dataset, ending: str = ""
) -> Iterator[Path]:
    """Write a figure as PNG and PDF and yield their paths."""
    has_colours = data.task.shape[0] > 1
    for suffix, content in style.saved(figure, photographs=has_colours).items():
        path = folder / f"{kind}-{privacy.prefix(data)}{slug(data.label)}{ending}.{suffix}"
        write(path, content)
        yield path
