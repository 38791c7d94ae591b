"""Models of the inputs: their probabilities are ones, and what scores make of them."""

import json
import math

import pytest
import torch
from click.testing import CliRunner
from torch.nn import functional

from bench.cli import main
from bench.commands.check import toy
from bench.datasets.base import Split, Task
from bench.datasets.errors import BenchError
from bench.methods.flow import Coupling, Flow
from bench.methods.generative import discretised_logistic, mutated, png_bits, uniform
from bench.methods.pixelcnn import PixelCNN
from bench.methods.vae import VAE
from bench.methods.vae_ensemble import VAEEnsemble
from bench.scenarios.likelihoods import variance
from bench.scores import all_scores
from bench.scores.base import Evidence

TASK = Task((1, 4, 4), ("a",), ("x", "y", "z"))
BYTES = torch.arange(256) / 255


def seeded(make, seed: int = 0):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return make()


def unsettled(net: torch.nn.Module, by: float = 0.3) -> torch.nn.Module:
    """A network whose weights are all changed: a new coupling changes nothing."""
    with torch.no_grad():
        for p in net.parameters():
            p.add_(by * torch.randn(p.shape))
    return net.eval()


def flow(task: Task = TASK, **params) -> torch.nn.Module:
    method = Flow(couplings=2, width=6, **params)
    return seeded(lambda: unsettled(method.density(task)))


# The flow


@pytest.mark.parametrize("volume", ["free", "constant"])
@pytest.mark.parametrize("shape", [(1, 4, 4), (3, 2, 2), (2, 3, 1)])
def test_the_volume_is_the_determinant_of_the_jacobian(shape, volume):
    density = flow(Task(shape, ("a",), ("x", "y")), volume=volume)
    x = 0.05 + 0.9 * torch.rand(1, *shape)
    jacobian = torch.autograd.functional.jacobian(lambda v: density.transformed(v)[0][0], x)
    size = math.prod(shape)
    wanted = torch.linalg.slogdet(jacobian.reshape(size, size).double()).logabsdet
    torch.testing.assert_close(density.transformed(x)[1][0].double(), wanted, rtol=1e-3, atol=1e-3)


def test_the_density_of_two_pixels_integrates_to_one():
    density = flow(Task((2, 1, 1), ("a",), ("x", "y")))
    side = (torch.arange(400) + 0.5) / 400
    x = torch.stack(torch.meshgrid(side, side, indexing="ij"), -1).reshape(-1, 2, 1, 1)
    with torch.no_grad():
        z, log_volume = density.transformed(x)
        log_p = log_volume - 0.5 * (z.square() + math.log(2 * math.pi)).sum(1)
        inside = log_p.exp().double().mean()
    assert 0.3 < inside < 1.001  # the rest lies beyond 0 and 1
    method = Flow(couplings=2, width=6, volume="constant")
    task = Task((2, 1, 1), ("a",), ("x", "y"))
    constant = seeded(lambda: unsettled(method.density(task), 0.1))
    far = 0.5 + 12 * (side - 0.5)
    x = torch.stack(torch.meshgrid(far, far, indexing="ij"), -1).reshape(-1, 2, 1, 1)
    with torch.no_grad():
        z, log_volume = constant.transformed(x)
        log_p = log_volume - 0.5 * (z.square() + math.log(2 * math.pi)).sum(1)
    assert log_p.exp().double().mean() * 12**2 == pytest.approx(1, abs=0.01)


def test_a_volume_that_is_constant_is_the_same_for_all_inputs():
    density, x = flow(volume="constant"), torch.rand(5, 1, 4, 4)
    volumes = density.transformed(x)[1]
    assert volumes.std() < 1e-4
    assert flow().transformed(x)[1].std() > 1e-2


def test_a_new_coupling_only_reorders():
    coupling = seeded(lambda: Coupling(4, 8, additive=False))
    x = torch.randn(3, 4, 2, 2)
    y, log_volume = coupling(x)
    torch.testing.assert_close(y, x[:, coupling.order])
    assert log_volume.tolist() == [0, 0, 0]


def test_images_of_odd_size_are_refused_before_the_run():
    with pytest.raises(BenchError, match="flow couples the pixels of squares of 2 x 2"):
        Flow().prepare(Task((1, 5, 4), ("a",), ("x", "y")))
    assert Flow().prepare(Task((3, 5, 4), ("a",), ("x", "y"))) == ""


# The other two


@pytest.mark.parametrize(
    ("mean", "log_scale"), [(0.5, -3.0), (0.0, -7.0), (1.3, 1.0), (-4.0, -5.0)]
)
def test_the_probabilities_of_all_bytes_sum_to_one(mean, log_scale):
    log_p = discretised_logistic(BYTES, *torch.tensor([mean, log_scale]).float())
    assert log_p.double().exp().sum() == pytest.approx(1, abs=1e-3)
    assert log_p.isfinite().all()


def test_a_pixel_depends_on_pixels_before_it_alone():
    density = seeded(lambda: unsettled(PixelCNN(layers=2, width=6, mixture=2).density(TASK)))
    x = torch.rand(1, 1, 4, 4, requires_grad=True)
    seen = {}
    density.read.register_forward_hook(lambda module, given, made: seen.update(parts=made))
    density(x, None)
    for place in range(16):
        (gradient,) = torch.autograd.grad(
            seen["parts"][..., place // 4, place % 4].sum(), x, retain_graph=True
        )
        touched = gradient.flatten().abs() > 0
        assert not touched[place:].any()
        assert touched[max(0, place - 1) : place].all()


def test_the_probabilities_of_all_inputs_sum_to_one():
    task = Task((1, 1, 2), ("a",), ("x", "y"))
    density = seeded(lambda: unsettled(PixelCNN(layers=1, width=6, mixture=2).density(task)))
    pairs = torch.stack(torch.meshgrid(BYTES, BYTES, indexing="ij"), -1).reshape(-1, 1, 1, 2)
    with torch.no_grad():
        total = density(pairs, None)[0].double().exp().sum()
    assert total == pytest.approx(1, abs=1e-3)


def test_the_bound_of_more_codes_is_higher_and_reaches_the_likelihood():
    task = Task((1, 1, 1), ("a",), ("x", "y"))
    density = seeded(lambda: unsettled(VAE(codes=1, width=4).density(task)))
    x = torch.tensor([[[[0.4]]]])
    grid = torch.linspace(-8, 8, 4001).reshape(1, -1, 1)
    with torch.no_grad():
        prior = -0.5 * grid[..., 0].square() - 0.5 * math.log(2 * math.pi)
        exact = (density._log_p(x, grid) + prior).logsumexp(1) + math.log(16 / 4000)
        draw = torch.Generator().manual_seed(0)
        one, many = (
            density(x.expand(n, 1, 1, 1), torch.rand(n, k, 1, generator=draw))[0].mean()
            for n, k in ((4000, 1), (10, 4000))
        )
    assert one <= many + 1e-3
    assert many == pytest.approx(float(exact), abs=0.02)


# What is common


def test_a_uniform_density_has_eight_bits():
    net = Flow(couplings=1, width=4).build(TASK)
    log_p = torch.full((3,), -16 * math.log(256))
    torch.testing.assert_close(net.bits(log_p), torch.full((3,), 8.0))


@pytest.mark.parametrize("make", [Flow, VAE, PixelCNN])
def test_training_lowers_the_bits_and_the_head_changes_no_density(make):
    splits = toy()
    small = {"min_updates": 150, "epochs": 1, "lr": 3e-3, "width": 16}
    method = make(**small).fit(splits.train, splits.val, seed=0)
    x = splits.test.floats()
    noise = torch.rand(x.shape, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        own, foreign = (method.extras(inputs)["bits_per_dim"].mean() for inputs in (x, noise))
        assert own < 8
        assert own < foreign
        gap = (method.bits(splits.train.floats()).mean() - method.net.mean_bits).abs()
        assert gap < 0.02  # other noise
    loss = functional.cross_entropy(method.net(x)[:, 0], splits.test.y[:, 0])
    loss.backward()
    assert method.net.head.weight.grad is not None


def test_the_head_learns_from_features_that_it_does_not_change():
    method = Flow(couplings=1, width=4)
    net = method.build(TASK)
    x, y = torch.rand(4, 1, 4, 4), torch.tensor([[0], [1], [2], [0]])
    features = net.features(net.density(x, None)[1].detach())
    functional.cross_entropy(net.classify(features)[:, 0], y[:, 0]).backward()
    assert all(p.grad is None for p in net.density.parameters())


def test_a_background_sees_inputs_of_which_a_share_is_replaced():
    x = torch.full((50, 1, 20, 20), 0.3)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        changed = mutated(x, 0.1)
    share = (changed != x).float().mean()
    assert 0.08 < share < 0.12
    others = changed[changed != x] * 255
    assert (others - others.round()).abs().max() < 1e-3
    assert others.min() < 20
    assert others.max() > 235


def test_scores_are_differences_of_bits():
    extras = {
        "bits_per_dim": torch.tensor([3.0, 4.0]), "png_bits": torch.tensor([2.5, 1.0]),
        "background_bits": torch.tensor([3.5, 3.0]), "typicality": torch.tensor([0.2, 0.7]),
    }  # fmt: skip
    given = Evidence(torch.zeros(2, 1), torch.zeros(2, 1, 2), extras=extras)
    said = {name: all_scores()[name](given).tolist() for name in
            ("likelihood", "complexity_corrected", "likelihood_ratio", "atypicality")}  # fmt: skip
    assert said["likelihood"] == [3, 4]
    assert said["complexity_corrected"] == [0.5, 3]
    assert said["likelihood_ratio"] == [-0.5, 1]
    assert said["atypicality"] == pytest.approx([0.2, 0.7])
    given = Evidence(torch.zeros(2, 1), torch.zeros(2, 1, 2), extras={"waic": torch.ones(2)})
    assert all_scores()["waic"](given).tolist() == [1, 1]


def test_waic_takes_the_variance_of_nats_off_the_mean_likelihood():
    method = VAEEnsemble(size=3, codes=2, width=8, samples=2)
    members = []
    for seed in range(3):
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            one = VAE(codes=2, width=8, samples=2)
            one.net = one.build(TASK).eval()
            one.net.mean_bits.fill_(seed)
            members.append(one)
    data = Split(torch.zeros(2, 1, 4, 4, dtype=torch.uint8), torch.zeros(2, 1).long(), TASK, "toy")
    method.fit(data, data, seed=0, prerequisites={"vae": members})
    x = torch.rand(5, 1, 4, 4)
    with torch.no_grad(), torch.random.fork_rng():
        torch.manual_seed(7)
        bits = torch.stack([one.bits(x) for one in members], 1)
        torch.manual_seed(7)
        found = method.extras(x)
        assert torch.equal(method.logits_and_features(x).logits, members[0].net(x))
    log_p = -bits.double() * 16 * math.log(2)  # of 16 pixels
    waic = log_p.mean(1) - log_p.var(1)
    torch.testing.assert_close(
        found["waic"].double(), -waic / (16 * math.log(2)), rtol=1e-4, atol=0
    )
    torch.testing.assert_close(found["bits_per_dim"], bits.mean(1))
    torch.testing.assert_close(found["typicality"], (bits.mean(1) - 1).abs())


def test_a_png_of_noise_is_larger_than_one_of_nothing():
    images = torch.stack([torch.zeros(1, 32, 32), torch.rand(1, 32, 32)])
    nothing, noise = png_bits(images)
    assert nothing < 1
    assert 8 < noise < 9.5
    assert png_bits(torch.rand(1, 3, 8, 8)).shape == (1,)


def test_the_noise_of_an_input_is_its_own():
    x = torch.rand(4, 1, 3, 3)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        whole = uniform(x, (5,))
        torch.manual_seed(0)
        assert torch.equal(uniform(x[2:], (5,)), whole[2:])
    assert ((whole > 0) & (whole < 1)).all()
    assert len(whole.unique()) == 20


def test_a_likelihood_that_is_not_finite_is_named_with_its_input():
    method = Flow(couplings=1, width=4)
    method.net = method.build(TASK).eval()
    x = torch.rand(4, 1, 4, 4)
    x[2] = torch.inf
    with pytest.raises(BenchError, match=r"flow: the likelihood of input 2 of a batch of 4 is nan"):
        method.bits(x)


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("likelihoods")
    run(folder, "run", "--methods", "flow:ratio", "--scenarios", "likelihoods", "--seeds", "0")
    return folder


def run(folder, *words: str, code: int = 0) -> str:
    words = [*words, "--preset", "smoke", "--results", str(folder)]
    done = CliRunner().invoke(main, words, catch_exceptions=False)
    assert done.exit_code == code, done.output
    return done.output


def test_the_scenario_has_bits_variances_and_every_repair(results):
    (path,) = results.glob("rows/digits/likelihoods/*.json")
    rows = json.loads(path.read_text("utf-8"))["rows"]
    scores = {"likelihood", "complexity_corrected", "likelihood_ratio", "atypicality"}
    views = {row["view"] for row in rows}
    assert "noise" in views
    for view in views:
        assert scores <= {r.get("score", "") for r in rows if r["view"] == view}
    (noise,) = [r["metrics"] for r in rows if r["view"] == "noise" and not r.get("score")]
    assert noise["variance_gap"] > -1
    assert noise["bits_per_dim"] > 0


def test_the_variance_is_that_of_pixels():
    x = torch.tensor([0, 255, 0, 255], dtype=torch.uint8).reshape(4, 1, 1, 1).expand(4, 1, 2, 3)
    assert variance(x) == pytest.approx(6 * 0.25)


def test_a_method_without_a_likelihood_is_named(tmp_path):
    output = run(tmp_path, "run", "--methods", "linear", "--scenarios", "likelihoods",
                 "--seeds", "0", code=1)  # fmt: skip
    assert "linear has no likelihood; methods that do: --methods likelihoods" in output


def test_histograms_are_drawn(results):
    run(results, "draw", "--methods", "flow:ratio")
    (figure,) = results.glob("figures/likelihoods-digits-*.png")
    assert figure.stat().st_size > 1000
