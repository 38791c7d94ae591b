"""Figures of single inputs: the right pictures, in the right order, with the right words."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import matplotlib.image
import pytest
import torch
from click.testing import CliRunner

from bench.cli import main
from bench.datasets.base import Task
from bench.datasets.digits import Digits
from bench.fitting import attributions
from bench.fitting.attributions import LogOdds, installed, integrated_gradients
from bench.fitting.console import Console
from bench.fitting.device import resolve
from bench.fitting.evaluator import Evaluator
from bench.fitting.fits import Fitter
from bench.gallery import decodings, examples, painting, pictures
from bench.gallery.examples import headline
from bench.methods.chance import Chance
from bench.methods.redecnn import ReDecNN
from bench.report import style
from bench.store.cache import Cache
from bench.store.files import slug

TRAINED = dict(epochs=20, lr=0.005)  # long enough for classes to differ from input to input
METHOD = "redecnn:" + ",".join(f"{name}={value}" for name, value in TRAINED.items())
MAPPED = (slug(METHOD), "standard") if installed() else ()  # which have figures of attributions


def run(*words: object, code: int = 0) -> str:
    done = CliRunner().invoke(main, [str(word) for word in words], catch_exceptions=False)
    assert done.exit_code == code, done.output
    return done.output


def subject_of(folder: Path, method, data=None) -> Evaluator:
    data = data or Digits()
    console = Console(quiet=True)
    fitter = Fitter(data, 0, "smoke", resolve("cpu"), Cache(folder / "cache"), console)
    return Evaluator(method.name, method, 0, fitter)


def redecnn(**params) -> ReDecNN:
    return ReDecNN(**ReDecNN.defaults("smoke") | TRAINED | params)


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("results")
    run("draw", "--methods", f"{METHOD},standard", "--preset", "smoke", "--results", folder)
    return folder


@pytest.fixture(scope="module")
def evaluator(results):
    return subject_of(results, redecnn())


@pytest.fixture(scope="module")
def net(evaluator):
    return decodings.decodable(evaluator.fitted().method)


def test_every_figure_is_there_as_png_and_pdf(results):
    found = sorted(path.name for path in (results / "figures").iterdir())
    names = [
        "corruptions-digits", "uncertain-digits-standard",
        *(f"{kind}-digits-{slug(METHOD)}" for kind in ("decoded", "path", "uncertain")),
        *(f"attributions-digits-{name}" for name in MAPPED),
    ]  # fmt: skip
    assert found == sorted(f"{name}.{kind}" for name in names for kind in ("png", "pdf"))


def test_figures_are_as_wide_as_a_column_or_a_page(results):
    for path in (results / "figures").glob("*.png"):
        inches = matplotlib.image.imread(path).shape[1] / style.DPI
        page = path.name.startswith(("decoded", "path", "attributions"))
        assert inches == pytest.approx(style.PAGE if page else style.WIDTH, abs=0.05)


def test_drawing_again_gives_the_same_bytes(results, tmp_path):
    (tmp_path / "cache").symlink_to(results / "cache")
    run("draw", "--methods", METHOD, "--preset", "smoke", "--results", tmp_path)
    for path in (tmp_path / "figures").iterdir():
        assert path.read_bytes() == (results / "figures" / path.name).read_bytes()


def test_layers_are_decoded_in_order(net, evaluator):
    x = evaluator.test.floats(slice(0, 1))[0]
    shown = decodings.layer_by_layer(net, x)
    h = net.classifier.activations(x[None])
    assert torch.equal(shown[0].image, x)
    for layer in range(3):
        torch.testing.assert_close(shown[1 + layer].image, net.decoder(h[layer])[0].detach())
    probs = net.classifier(shown[2].image[None]).softmax(-1)[0].detach()
    torch.testing.assert_close(shown[2].probs, probs)


def test_a_path_decodes_what_was_decoded(net, evaluator):
    x = evaluator.test.floats(slice(0, 1))[0]
    shown = decodings.along(net, x, [2, 0])
    first = decodings.decodings(net, x[None])[2]
    torch.testing.assert_close(shown[1].image, first[0])
    torch.testing.assert_close(shown[2].image, decodings.decodings(net, first)[0, 0])


def labels(figure) -> list[list[str]]:
    return [[axis.get_title(), axis.get_xlabel()] for axis in figure.axes]


def test_each_decoding_is_named_and_says_class_and_probability(net, evaluator):
    figure = pictures.decoded(evaluator, net)
    assert [title for title, _ in labels(figure)[:4]] == ["$x$"] + [
        f"$g(h_{layer})$" for layer in (1, 2, 3)
    ]
    shown = decodings.layer_by_layer(net, evaluator.test.floats(evaluator.test.y[:, 0] == 0)[0])
    assert [said for _, said in labels(figure)[:4]] == [
        painting.words(one.probs, evaluator.data) for one in shown
    ]
    for axis, one in zip(figure.axes[:4], shown, strict=True):
        same = one.probs.argmax() == shown[0].probs.argmax()
        assert axis.xaxis.label.get_color() == (painting.SAME if same else painting.OTHER)


def test_the_film_strip_names_its_layers(net, evaluator):
    titles = [title for title, _ in labels(pictures.path(evaluator, net))]
    assert titles[:4] == ["$x$", "$g(h_1)$", "$g(h_2)$", "$g(h_3)$"]
    assert titles[4] == "$x_0 = x$"
    assert all(f"$x_{d} = g(h_" in titles[4 + d] for d in (1, 2))  # smoke walks two steps


def test_the_surest_come_first_and_the_least_sure_last(evaluator):
    figure = pictures.uncertain(evaluator)
    shown = [float(said.split("\n")[-1]) for _, said in labels(figure)]
    unsure = headline(evaluator)(evaluator.predict(evaluator.clean).probs)
    half = pictures.EXTREMES
    assert shown[:half] == pytest.approx(unsure.sort().values[:half].tolist(), abs=5e-4)
    assert shown[half:] == pytest.approx(
        unsure.sort(descending=True).values[:half].tolist(), abs=5e-4
    )


def test_labels_of_neighbours_do_not_overlap(evaluator, monkeypatch):
    names = replace(evaluator.data.task, classes=("pullover", "trouser") * 5)
    monkeypatch.setattr(evaluator.data, "task", names)
    figure = pictures.uncertain(evaluator)
    figure.draw_without_rendering()
    said = [axis.xaxis.label for axis in figure.axes]
    assert any("\n→ " in label.get_text() for label in said)
    boxes = [label.get_window_extent() for label in said]
    for one, other in pairwise(boxes):
        assert not one.overlaps(other)


def test_a_method_that_is_alike_unsure_of_everything_has_no_such_figure(tmp_path):
    assert pictures.uncertain(subject_of(tmp_path, Chance())) is None


def test_maps_stand_beside_the_inputs_they_are_of(evaluator):
    pytest.importorskip("captum")
    figure = pictures.attributions(evaluator)
    titles = [title for title, _ in labels(figure)[:12]]
    assert titles[::2] == ["$x$", "motion blur", "rotate", "fog", "fgsm 0.1", "$g(h_L)$"]
    assert not any(titles[1::2])
    assert len(figure.axes) == 12 * pictures.ROWS
    x = evaluator.test.floats(examples.one_of_each_class(evaluator.test, pictures.ROWS))
    f = LogOdds(evaluator.fitted().method, evaluator.prediction_seed)
    with torch.random.fork_rng():
        wanted = integrated_gradients(f, x, f(x).argmax(1), steps=32)
    for i, axes in enumerate((figure.axes[1], figure.axes[13])):
        shown = torch.as_tensor(axes.images[0].get_array().data)
        torch.testing.assert_close(shown, wanted[i, 0], atol=1e-4, rtol=1e-3)
        assert axes.get_xlabel() == ""
    assert figure.axes[3].get_xlabel().startswith("$\\tau$ ")


def test_without_captum_there_is_no_figure_of_maps(evaluator, monkeypatch):
    monkeypatch.setattr(attributions, "installed", lambda: False)
    assert pictures.attributions(evaluator) is None


def test_all_corruptions_of_one_input_are_shown(evaluator):
    names = [said for _, said in labels(pictures.corruptions(evaluator)) if said]
    assert len(names) == 16
    assert names[0] == "as it is"
    assert "dotted line" in names


class Spoken(Digits):
    """Digits that pass for spectrograms."""

    name = "digits"
    kind = "speech"
    modality = "sound"


def test_of_speech_every_second_layer_of_three_examples_is_shown(tmp_path):
    spoken = subject_of(tmp_path, redecnn(blocks=4), Spoken())
    net = decodings.decodable(spoken.fitted().method)
    figure = pictures.decoded(spoken, net)
    assert [title for title, _ in labels(figure)[:3]] == ["$x$", "$g(h_2)$", "$g(h_4)$"]
    assert len(figure.axes) == 9
    assert figure.axes[0].images[0].get_cmap().name == "magma"
    x = spoken.test.floats(pictures._examples(spoken))[0]
    shown = decodings.layer_by_layer(net, x)
    assert labels(figure)[1][1] == painting.words(shown[2].probs, spoken.data)


def test_of_many_targets_a_few_are_put_in_words():
    class Portraits(Digits):
        task = Task((1, 8, 8), ("Bald", "Male", "No_Beard", "Smiling"), ("no", "yes"))

    probs = torch.tensor([[0.5, 0.5], [0.9, 0.1], [0.5, 0.5], [0.001, 0.999]])
    assert painting.words(probs, Portraits()) == "Smiling >.99\nMale .10"


def test_pictures_of_people_are_named_so_and_kept_out_of_the_reference(
    results, tmp_path, monkeypatch
):
    (tmp_path / "cache").symlink_to(results / "cache")
    monkeypatch.setattr(Digits, "kind", "face")
    words = ["draw", "--methods", METHOD, "--preset", "smoke", "--results"]
    run(*words, tmp_path)
    names = [path.name for path in (tmp_path / "figures").iterdir()]
    assert len(names) == 8 + 2 * len(MAPPED[:1])
    assert all("-faces-digits" in name for name in names)
    assert "never committed" in run(*words, tmp_path / "reference", code=2)
    assert not (tmp_path / "reference").exists()


def test_a_folder_that_cannot_be_written_to_is_a_mistake(results, tmp_path):
    (tmp_path / "figures").write_text("")
    (tmp_path / "cache").symlink_to(results / "cache")
    output = run("draw", "--preset", "smoke", "--results", tmp_path, code=2)
    assert "choose another folder" in output


def test_maps_of_a_convolutional_net_are_decoded_and_drawn(tmp_path):
    maps = subject_of(tmp_path, redecnn(backbone="cnn", channels=8, epochs=1))
    net = decodings.decodable(maps.fitted().method)
    assert decodings.decodings(net, maps.test.floats(slice(0, 2))).shape == (3, 2, 1, 8, 8)
    assert len(pictures.path(maps, net).axes) == 8
