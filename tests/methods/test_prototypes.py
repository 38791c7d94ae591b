"""Prototypes: codes, losses and distances by hand, and what they look like."""

import pytest
import torch
from click.testing import CliRunner
from torch.nn import functional

from bench import methods
from bench.cli import main
from bench.commands.check import toy
from bench.datasets.base import Task
from bench.discover import choose, subclasses
from bench.methods.base import Method
from bench.methods.prototypes import Prototypes, strided
from bench.methods.training import Batch
from bench.scores import all_scores
from bench.scores.base import Evidence

TASK = Task((1, 8, 8), ("a", "b"), ("x", "y", "z"))
SMALL = {"prototypes": 4, "channels": 4, "decoder_width": 16}


def batch(n: int = 6) -> Batch:
    draw = torch.Generator().manual_seed(0)
    x, y = torch.rand(n, 1, 8, 8, generator=draw), torch.randint(3, (n, 2), generator=draw)
    return Batch(x, y, y[:, :0], 0.5, n)


@pytest.fixture
def method() -> Prototypes:
    made = Prototypes(**SMALL)
    with torch.random.fork_rng():
        torch.manual_seed(1)
        made.net = made.build(TASK).eval()
    return made


def test_the_four_losses_add_up(method):
    one, net = batch(), method.net
    z = net.encoder(one.x).sigmoid()
    d = torch.cdist(z, net.prototypes).square()
    error = functional.cross_entropy((d @ net.head.weight.T).unflatten(1, (2, 3)).flatten(0, 1),
                                     one.y.flatten())  # fmt: skip
    decoding = (net.decoder(z) - one.x).square().sum() / 6
    for weights in ((0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1), (0.2, 0.3, 0.4)):
        method.reconstruction, method.near_inputs, method.near_prototypes = weights
        wanted = error + weights[0] * decoding
        wanted = wanted + weights[1] * d.amin(0).mean() + weights[2] * d.amin(1).mean()
        torch.testing.assert_close(method.loss(net, one), wanted)


def test_an_input_with_the_code_of_a_prototype_is_at_no_distance(method):
    one = batch()
    with torch.no_grad():
        method.net.prototypes[2] = method.net.encode(one.x)[4]
        extras = method.extras(one.x)
    nearest = all_scores()["nearest_prototype"]
    given = Evidence(torch.zeros(6, 1), torch.zeros(6, 2, 3), extras=extras)
    scores = nearest(given)
    assert scores[4] == pytest.approx(0, abs=1e-12)
    assert (scores[:4] > 1e-7).all()
    assert torch.equal(scores, extras["prototype_distances"].double().amin(1))


def test_prototypes_are_drawn_with_the_classes_they_have_themselves(method):
    images, logits = method.drawn()
    assert images.shape == (4, 1, 8, 8)
    assert images.min() >= 0
    assert images.max() <= 1
    distances = torch.cdist(method.net.prototypes, method.net.prototypes).square()
    wanted = (distances @ method.net.head.weight.T).unflatten(1, (2, 3))
    torch.testing.assert_close(logits, wanted, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(
    ("shape", "codes"), [((1, 32, 32), 40), ((3, 28, 28), 40), ((1, 8, 8), 10), ((1, 1, 1), 10)]
)
def test_the_encoder_halves_an_image_four_times(shape, codes):
    task = Task(shape, ("a",), ("x", "y"))
    encoder, size = strided(task, 4)
    assert size == codes
    assert encoder(torch.rand(2, *shape)).shape == (2, codes)


@pytest.mark.parametrize("backbone", ["mlp", "cnn"])
def test_another_encoder_is_the_backbone_up_to_its_features(backbone):
    made = Prototypes(**SMALL, encoder="backbone", backbone=backbone, blocks=2, width=8, codes=5)
    made.net = made.build(TASK).eval()
    assert made.net.encode(batch().x).shape == (6, 5)
    assert made.logits_and_features(batch().x).features.shape == (6, 4)


def test_training_reduces_the_error_of_decodings():
    splits, errors = toy(), []
    for updates in (1, 300):
        made = Prototypes(**SMALL, epochs=1, min_updates=updates, conv_min_updates=0)
        made.fit(splits.train, splits.val, seed=0)
        with torch.no_grad():
            errors.append(made.extras(splits.test.floats())["decoding_error"].mean())
    assert errors[1] < 0.8 * errors[0]


def test_neighbours_are_run_by_their_tag_and_not_by_all():
    def names(wanted: str) -> set[str]:
        return {c.cls.name for c in choose("method", wanted, subclasses(methods, Method))}

    assert {"prototypes", "contrastive", "modular", "flow", "vae", "pixelcnn"} <= names(
        "neighbours"
    )
    assert not names("neighbours") & names("all")


def test_prototypes_are_drawn_to_a_file(tmp_path):
    words = ["draw", "--methods", "prototypes", "--preset", "smoke", "--results", tmp_path]
    done = CliRunner().invoke(main, [str(word) for word in words], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    assert (tmp_path / "figures" / "prototypes-digits-prototypes.png").stat().st_size > 1000


def test_explore_says_that_it_cannot_run_them(tmp_path):
    words = ["explore", "--methods", "prototypes", "--results", tmp_path, "-o", tmp_path / "x.html"]
    done = CliRunner().invoke(main, [str(word) for word in words], catch_exceptions=False)
    assert done.exit_code == 2
    assert "not backbone=cnn; `python -m bench draw` shows its decodings" in done.output
