"""Known answers: each method against hand-written sums, closed forms and the method it extends."""

import itertools
import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from bench.datasets.base import Split, Task
from bench.methods import training
from bench.methods.backbones.mlp import mlp
from bench.methods.bayes import Bayes
from bench.methods.bayes_layers import BayesLinear, ScaleMixture, WeightDistribution, drawn_weights
from bench.methods.chance import Chance
from bench.methods.decnn import DecNN
from bench.methods.dropout import Dropout
from bench.methods.ensemble import Ensemble
from bench.methods.linear import Linear
from bench.methods.mc_dropout import McDropout
from bench.methods.nets import Decodable, Drop, pick, squared_error
from bench.methods.redecnn import ReDecNN, classify_paths, recursive_loss
from bench.methods.standard import Standard
from bench.methods.training import Batch

TASK = Task((1, 4, 4), ("side", "shade"), ("no", "yes"))
TINY = {"blocks": 3, "width": 16, "epochs": 1, "min_updates": 10}
TINY_DECODER = {**TINY, "decoder_width": 16}
LONGER = {"min_updates": 200, "lr": 1e-2}


def toy(n: int = 256) -> Split:
    """Bright pixels left or right (first target), on a dark or light ground (second target)."""
    generator = torch.Generator().manual_seed(5)
    y = torch.randint(2, (n, 2), generator=generator)
    x = torch.randint(60, (n, 1, 4, 4), generator=generator)
    x[..., :2] += 120 * (1 - y[:, 0])[:, None, None, None]
    x[..., 2:] += 120 * y[:, 0][:, None, None, None]
    x += 60 * y[:, 1][:, None, None, None]
    return Split(x.byte(), y, TASK, "toy")


def batch(data: Split, progress: float = 0.0) -> Batch:
    return Batch(data.floats(), data.y, data.y[:, :0], progress, len(data))


def decodable(seed: int = 0, **others) -> Decodable:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return ReDecNN(**TINY_DECODER, **others).build(TASK).eval()


def fitted(method, seed=0):
    """Fit a method and, before it, the prerequisites it asks for."""
    kinds = {"standard": Standard, "dropout": Dropout}
    given = {
        key: [kinds[item.method](**item.params).fit(toy(), toy(), seed=s) for s in item.seeds]
        for key, item in method.prerequisites(seed).items()
    }
    return method.fit(toy(), toy(), seed=seed, prerequisites=given)


def predictions(method, x: Tensor) -> Tensor:
    with torch.no_grad(), torch.random.fork_rng():
        torch.manual_seed(3)
        return method.predict_proba(x)


def all_methods():
    return [
        Chance(),
        Linear(epochs=1, min_updates=10),
        Standard(**TINY),
        Dropout(**TINY),
        McDropout(samples=3, **TINY),
        Bayes(samples=3, **TINY),
        Ensemble(size=2, **TINY),
        DecNN(**TINY_DECODER),
        ReDecNN(depth=2, samples=5, **TINY_DECODER),
    ]


every_method = pytest.mark.parametrize("method", all_methods(), ids=lambda m: m.name)


def same_tensors(a, b) -> bool:
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same_tensors(a[k], b[k]) for k in a)
    return torch.equal(a, b)


def by_hand(net: Decodable, x: Tensor, y: Tensor, layers: Tensor, alpha: float, beta: float):
    """Eq. 5 for one input (C, H, W), written out term by term."""
    image = x.unsqueeze(0)
    total = -net.classifier(image).log_softmax(-1)[0, range(2), y].mean()
    for d, layer in enumerate(layers.tolist(), start=1):
        image = net.decoder(net.classifier.activations(image)[layer])
        likelihood = net.classifier(image).log_softmax(-1)[0, range(2), y].mean()
        total = total - alpha**d * likelihood + alpha**d * beta * ((image[0] - x) ** 2).sum()
    return total


def test_recursive_loss_is_equation_5_summed_by_hand():
    net, data = decodable(), toy(6)
    layers = torch.randint(3, (4, 6), generator=torch.Generator().manual_seed(1))
    x = data.floats()
    wanted = [by_hand(net, x[i], data.y[i], layers[:, i], 0.7, 0.02) for i in range(6)]
    found = recursive_loss(net, x, data.y, layers, alpha=0.7, beta=0.02)
    torch.testing.assert_close(found, torch.stack(wanted).mean())


def test_recursive_loss_with_alpha_0_is_the_cross_entropy():
    method, net, data = ReDecNN(alpha=0.0, **TINY_DECODER), decodable(), toy(8)
    found = method.loss(net, batch(data, 1.0))
    wanted = functional.cross_entropy(net.classifier(data.floats()).flatten(0, 1), data.y.flatten())
    torch.testing.assert_close(found, wanted)


def test_alpha_rises_over_the_first_part_of_training():
    method = ReDecNN(alpha=0.8, ramp=0.5)
    assert [method.alpha_at(p) for p in (0.0, 0.25, 0.5, 1.0)] == [0.0, 0.4, 0.8, 0.8]
    assert ReDecNN(alpha=0.8, ramp=0.0).alpha_at(0.0) == 0.8


def test_depths_of_negligible_weight_are_left_out():
    method = ReDecNN(alpha=0.5, ramp=0.5)
    assert [method.depth_at(p) for p in (0.0, 0.05, 0.25, 0.5, 1.0)] == [0, 2, 4, 8, 8]
    assert ReDecNN(alpha=0.5, ramp=0.5, min_weight=0.0).depth_at(0.1) == 8


def test_decnn_loss_is_equation_4_summed_by_hand():
    method, net, data = DecNN(beta=0.02, **TINY_DECODER), decodable(), toy(5)
    x = data.floats()
    errors = [((net.decoder(h) - x) ** 2).sum() / 5 for h in net.classifier.activations(x)]
    wanted = training.cross_entropy(net.classifier(x), data.y) + 0.02 * sum(errors) / 3
    torch.testing.assert_close(method.loss(net, batch(data)), wanted)


def test_a_share_of_beta_counts_for_images_in_colour():
    method = DecNN(beta=0.06, rgb_beta_scale=0.5)
    assert [method.beta_for(torch.zeros(2, c, 8, 8)) for c in (1, 3)] == [0.06, 0.03]


def test_decnn_samples_classify_the_decoding_of_each_layer():
    method = fitted(DecNN(**TINY_DECODER))
    net, x = method.net, toy(7).floats()
    wanted = [net.classifier(net.decoder(h)).softmax(-1) for h in net.classifier.activations(x)]
    torch.testing.assert_close(predictions(method, x), torch.stack(wanted, 1).detach())


@pytest.mark.parametrize("backbone", ["mlp", "cnn"])
def test_the_further_evidence_of_decodings_by_hand(backbone):
    method = fitted(DecNN(**TINY_DECODER, backbone=backbone, channels=4))
    f, g, x = method.net.classifier, method.net.decoder, toy(5).floats()
    with torch.no_grad():
        found = method.extras(x)
        decodings = [g(h) for h in f.activations(x)]
        errors = [(one - x).square().flatten(1).sum(1) for one in decodings]
        path = [decodings[-1]]
        for _ in range(3):
            path.append(g(f.activations(path[-1])[-1]))
        first, deeper = (torch.stack([f(one) for one in many], 1) for many in (decodings, path))
    torch.testing.assert_close(found["decoding_error"], torch.stack(errors, 1))
    torch.testing.assert_close(found["decoding_logits"], first)
    torch.testing.assert_close(found["recursion_logits"], deeper)


@pytest.mark.parametrize("rate", [0.05, 0.1, 0.5, 0.9])
@pytest.mark.parametrize("shape", [(2000, 33), (2000, 33, 2, 2)])
def test_dropout_drops_each_feature_of_each_input_by_itself(rate, shape):
    torch.manual_seed(0)
    dropped = Drop(rate)(torch.ones(shape)).reshape(2000, 33, -1)
    features = dropped[..., 0]
    assert (dropped == features[..., None]).all()  # channels are dropped whole
    torch.testing.assert_close(
        features[features > 0].unique(), torch.tensor([1 / (1 - rate)]), rtol=1e-4, atol=0
    )
    lost = (features == 0).double()
    spread = math.sqrt(rate * (1 - rate))
    assert abs(lost.mean() - rate) < 4 * spread / math.sqrt(lost.numel())
    assert (lost.mean(0) - rate).abs().max() < 5 * spread / math.sqrt(2000)
    together = torch.corrcoef(lost.T).fill_diagonal_(0)
    assert together.abs().max() < 5 / math.sqrt(2000)
    assert torch.equal(Drop(rate).eval()(torch.ones(shape)), torch.ones(shape))


def test_a_rate_of_almost_one_still_drops():
    torch.manual_seed(0)
    assert Drop(1 - 1e-9)(torch.ones(100, 100)).count_nonzero() < 10


def test_a_dropout_rate_says_how_it_was_chosen():
    rates = {0.5: "published", 0.1: "validation inliers", 0.3: "by hand"}
    assert {rate: Dropout(rate=rate).tuned for rate in rates} == rates
    assert McDropout(rate=0.1).tuned == "validation inliers"


def test_decnn_answers_from_one_pass_what_its_parts_say():
    method = fitted(DecNN(**TINY_DECODER))
    ran, x = [], toy(7).floats()
    method.net.decoder.register_forward_hook(lambda *_: ran.append("decoder"))
    with torch.no_grad():
        parts = method.predict_proba(x), method.logits_and_features(x), method.extras(x)
        apart = len(ran)
        together = method.answer(x)
    assert torch.equal(together.probs, parts[0])
    assert torch.equal(together.outputs.logits, parts[1].logits)
    assert all(torch.equal(together.extras[name], parts[2][name]) for name in parts[2])
    assert len(ran) - apart == apart - 1  # the first decodings are made once


def test_a_subclass_that_answers_otherwise_is_asked_itself():
    class Even(DecNN):
        def predict_proba(self, x):
            return torch.full((len(x), 1, 1, 2), 0.5)

    method = fitted(Even(**TINY_DECODER))
    with torch.no_grad():
        assert (method.answer(toy(3).floats()).probs == 0.5).all()


@pytest.mark.parametrize(("samples", "depth"), [(12, 1), (12, 3), (2, 2), (1, 1)])
def test_each_input_follows_its_own_paths(samples, depth):
    net, x = decodable(), toy(5).floats()
    paths = torch.randint(3, (5, samples, depth), generator=torch.Generator().manual_seed(2))
    logits = classify_paths(net, x, paths)
    for i, s in itertools.product(range(5), range(samples)):
        image = x[[i]]
        for layer in paths[i, s].tolist():
            image = net.decoder(net.classifier.activations(image)[layer])
        torch.testing.assert_close(logits[i, s], net.classifier(image)[0])


def test_beginnings_that_paths_share_are_decoded_once():
    net, decoded = decodable(), []
    net.decoder.register_forward_hook(lambda _, inputs, __: decoded.append(inputs[0].numel()))
    classify_paths(net, toy(2).floats(), torch.zeros(2, 20, 3, dtype=torch.long))
    width = net.classifier.shape[0]
    assert [n // (2 * width) for n in decoded] == [3, 9, 20]  # images of an input at each depth


@pytest.mark.parametrize("layers", [[0, 0, 0], [2, 2, 2], [2, 0, 1], [1, 1, 0]])
def test_the_activation_of_one_layer_is_that_of_all(layers):
    f, x, layers = decodable().classifier, toy(3).floats(), torch.tensor(layers)
    torch.testing.assert_close(f.activation_at(x, layers), pick(f.activations(x), layers))


def test_blocks_run_for_the_inputs_that_need_them_alone():
    f, ran = decodable().classifier, []
    for block in f.blocks:
        block.register_forward_hook(lambda _, inputs, __: ran.append(len(inputs[0])))
    f.activation_at(toy(3).floats(), torch.tensor([1, 0, 1]))
    assert ran == [3, 2]


@pytest.mark.parametrize("backbone", ["mlp", "cnn", "resnet", "revnet"])
def test_the_last_activation_is_that_of_all(backbone):
    f = decodable(backbone=backbone).classifier
    x = toy(3).floats()
    with torch.no_grad():
        assert torch.equal(f.last(x), f.activations(x)[-1])


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_squared_error_has_the_bits_of_its_definition(dtype):
    x, decoded = torch.rand(5, 1, 6, 6), torch.rand(3, 5, 1, 6, 6).to(dtype).requires_grad_()
    found, wanted = squared_error(decoded, x), (decoded.float() - x).square().sum() / 5
    assert torch.equal(found, wanted)
    gradients = [torch.autograd.grad(value, decoded)[0] for value in (found, wanted)]
    assert torch.equal(*gradients)


def test_training_stacks_activations_that_are_decoded_alone(monkeypatch):
    net, data, stacks = decodable(), toy(5), []
    stack = torch.stack
    monkeypatch.setattr(torch, "stack", lambda h: stacks.append(len(h)) or stack(h))
    layers = torch.tensor([[0, 1, 2, 1, 0], [2, 1, 0, 0, 1]])
    recursive_loss(net, data.floats(), data.y, layers, alpha=0.7, beta=0.02)
    assert stacks == [3, 3]  # of the input and of its first decoding, but not of the last


def test_pick_takes_the_layer_of_each_input():
    h = torch.arange(24.0).reshape(3, 4, 2)
    found = pick(h, torch.tensor([2, 0, 1, 2]))
    assert found.tolist() == [[16, 17], [2, 3], [12, 13], [22, 23]]


def test_log_density_of_a_mixture_is_worked_out_by_hand():
    prior = ScaleMixture(prior_sigma_1=1.0, prior_sigma_2=0.5, prior_pi=0.25)
    density = 0.25 * math.exp(-0.5) + 0.75 * 2 * math.exp(-2.0)
    wanted = math.log(density / math.sqrt(2 * math.pi))
    assert prior.log_density(torch.ones(1)).item() == pytest.approx(wanted, rel=1e-5)
    assert prior.log_density(torch.ones(3)).item() == pytest.approx(3 * wanted, rel=1e-5)


def test_sampled_complexity_averages_to_the_closed_form():
    torch.manual_seed(0)
    prior = ScaleMixture(prior_sigma_1=0.3, prior_sigma_2=9.0, prior_pi=1.0)
    weights = WeightDistribution(50, spread=0.5, posterior_mu_init=0.1, posterior_rho_init=-1.0)
    sigma = math.log1p(math.exp(-1.0))
    exact = (math.log(0.3 / sigma) + (sigma**2 + weights.mu.square()) / (2 * 0.3**2) - 0.5).sum()
    draws = torch.stack([weights.draw(prior)[1] for _ in range(1000)]).detach()
    error = draws.std() / math.sqrt(len(draws))
    assert abs(draws.mean() - exact) < 4 * error
    assert error < exact / 100


def test_the_bound_on_the_evidence_counts_the_complexity_once_an_epoch():
    method, data = Bayes(**TINY), toy(64)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = method.build(TASK)
    torch.manual_seed(1)
    loss = method.loss(net, batch(data))
    torch.manual_seed(1)
    with drawn_weights(net):
        error = training.cross_entropy(net(data.floats()), data.y)
    cost = sum(m.complexity for m in net.modules() if isinstance(m, BayesLinear))
    torch.testing.assert_close(loss, error + cost / 64)


def test_bayes_layers_outside_a_draw_use_the_posterior_mean():
    method, x = fitted(Bayes(samples=3, **TINY)), toy(4).floats()
    before = method.single_classifier()(x)
    samples = predictions(method, x)
    assert not torch.allclose(samples[:, 0], samples[:, 1])
    assert torch.equal(method.single_classifier()(x), before)


def test_ensemble_samples_are_its_members():
    members = [Standard(**TINY).fit(toy(), toy(), seed=s) for s in (0, 7)]
    ensemble = Ensemble(size=2, **TINY).fit(
        toy(), toy(), seed=0, prerequisites={"standard": members}
    )
    x = toy(6).floats()
    wanted = sum(predictions(member, x)[:, 0] for member in members) / 2
    torch.testing.assert_close(predictions(ensemble, x).mean(1), wanted)
    assert torch.equal(ensemble.single_classifier()(x), members[0].single_classifier()(x))


def test_first_member_of_an_ensemble_is_the_standard_network_of_its_seed():
    prerequisite = Ensemble(**TINY).prerequisites(4)["standard"]
    assert prerequisite.method == "standard"
    assert prerequisite.seeds[0] == 4
    assert len(set(prerequisite.seeds)) == 8
    assert prerequisite.params == Standard(**TINY).params()


@pytest.mark.parametrize("preset", ["smoke", "laptop", "paper"])
def test_ingredients_take_the_settings_they_have_on_their_own(preset):
    ensemble = Ensemble(**Ensemble.defaults(preset)).prerequisites(0)["standard"]
    dropout = McDropout(**McDropout.defaults(preset)).prerequisites(0)["dropout"]
    assert ensemble.params == Standard.defaults(preset)
    assert dropout.params == Dropout.defaults(preset)


def test_mc_dropout_uses_the_weights_of_dropout():
    dropout = Dropout(**TINY).fit(toy(), toy(), seed=0)
    method = McDropout(samples=4, **TINY)
    assert method.prerequisites(0)["dropout"].params == dropout.params()
    method.fit(toy(), toy(), seed=0, prerequisites={"dropout": [dropout]})
    x = toy(6).floats()
    assert torch.equal(method.single_classifier()(x), dropout.single_classifier()(x))
    assert not torch.allclose(predictions(method, x)[:, 0], predictions(method, x)[:, 1])


def test_each_input_has_dropout_masks_of_its_own():
    dropout = Dropout(rate=0.5, **TINY).fit(toy(), toy(), seed=0)
    method = McDropout(samples=4, rate=0.5, **TINY)
    method.fit(toy(), toy(), seed=0, prerequisites={"dropout": [dropout]})
    twins = toy(1).floats().repeat(3, 1, 1, 1)
    twins[1] += 1e-6
    found = predictions(method, twins)
    assert torch.equal(found[0], found[2])
    assert (found[0] - found[1]).abs().max() > 0.01


def test_a_dropout_mask_keeps_the_expected_size():
    net = mlp(TASK, blocks=3, features=400, rate=0.25)
    masks = net.draw_masks(10)
    assert masks.shape == (3, 10, 400)
    assert masks.unique().tolist() == pytest.approx([0, 4 / 3])
    assert masks.mean().item() == pytest.approx(1, abs=0.02)


def test_masks_of_ones_are_no_dropout():
    net, x = mlp(TASK, blocks=3, features=8, rate=0.5).eval(), toy(5).floats()
    torch.testing.assert_close(net.masked(x, torch.ones(3, 8)), net(x))


def test_a_missing_ingredient_is_named():
    with pytest.raises(ValueError, match="ensemble: fit\\(\\) needs 8 fitted 'standard'"):
        Ensemble(**TINY).fit(toy(), toy(), seed=0)


@pytest.mark.parametrize(
    "method",
    [
        Linear(min_updates=200, lr=0.05),
        Standard(**TINY | LONGER),
        Bayes(complexity_cost_weight=0.1, **TINY | LONGER),
        DecNN(**TINY_DECODER | LONGER),
        ReDecNN(depth=3, **TINY_DECODER | LONGER),
    ],
    ids=lambda m: m.name,
)
def test_training_learns_what_is_separable(method):
    data = toy()
    method.fit(data, data, seed=0)
    right = method.single_classifier()(data.floats()).argmax(-1) == data.y
    assert right.float().mean() > 0.98


@every_method
def test_same_seed_gives_the_same_model_bit_for_bit_and_leaves_the_generator_alone(method):
    torch.manual_seed(0)
    before = torch.random.get_rng_state()
    first, again = fitted(method).state(), fitted(type(method)(**method.params())).state()
    assert same_tensors(first, again)
    assert torch.equal(torch.random.get_rng_state(), before)


@every_method
def test_another_seed_gives_another_model(method):
    if method.name == "chance":
        return
    first = fitted(method).state()
    assert not same_tensors(first, fitted(type(method)(**method.params()), seed=1).state())


@every_method
def test_state_is_restored_exactly(method):
    x = toy(9).floats()
    fitted(method)
    other = type(method)(**method.params()).load_state(method.state(), TASK)
    assert torch.equal(predictions(method, x), predictions(other, x))
    assert torch.equal(method.single_classifier()(x), other.single_classifier()(x))


@every_method
def test_batch_size_changes_no_prediction(method):
    x = toy(9).floats()
    fitted(method)
    parts = [predictions(method, part) for part in x.split(2)]
    torch.testing.assert_close(torch.cat(parts), predictions(method, x), rtol=1e-4, atol=1e-6)


@every_method
def test_gradients_reach_the_input_through_predictions_and_through_the_single_classifier(method):
    fitted(method)
    for answer in (method.predict_proba, method.single_classifier()):
        x = toy(3).floats().requires_grad_()
        answer(x)[..., 0].sum().backward()
        assert x.grad is not None
        assert bool(x.grad.abs().sum() > 0) == (method.name != "chance")


@every_method
def test_probabilities_have_four_axes_and_sum_to_one(method):
    found = predictions(fitted(method), toy(5).floats())
    assert found.shape[0] == 5
    assert found.shape[2:] == (2, 2)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.sum(-1), torch.ones(found.shape[:-1]))


def test_features_and_head_give_the_logits():
    method, x = fitted(Standard(**TINY)), toy(4).floats()
    logits, features = method.logits_and_features(x)
    assert features.shape == (4, 16)
    assert torch.equal(logits, method.single_classifier()(x))


def test_a_loss_that_is_no_number_is_an_error():
    with pytest.raises(
        RuntimeError, match="the training loss became nan in epoch 1 of 1; lower lr"
    ):
        Standard(**TINY | {"lr": 1e30}).fit(toy(), toy(), seed=0)


def test_small_data_is_repeated_until_there_were_enough_updates():
    seen = []
    token = training.on_epoch.set(lambda done, epochs: seen.append((done, epochs)))
    Standard(**TINY | {"min_updates": 40}).fit(toy(), toy(), seed=0)  # 16 batches of 16
    training.on_epoch.reset(token)
    assert seen == [(1, 3), (2, 3), (3, 3)]


@pytest.mark.parametrize(("n", "size"), [(5, 5), (100, 16), (1317, 64), (4096, 256), (55_000, 512)])
def test_batches_of_small_data_are_small(n, size):
    assert training.batch_size(512, n) == size


def test_learning_rate_rises_and_falls_once():
    rates = [training.one_cycle(p, 1.0) for p in (0.0, 0.15, 0.3, 0.65, 1.0)]
    assert rates == pytest.approx([0.04, 0.52, 1.0, 0.5, 0.0], abs=1e-3)


def test_training_gives_the_threads_back():
    before = torch.get_num_threads()
    fitted(Standard(**TINY))
    assert torch.get_num_threads() == before


def test_precision_asked_for_is_the_precision_used():
    cpu = torch.device("cpu")
    assert training.resolve_precision("float32", cpu) is torch.float32
    assert training.resolve_precision("bfloat16", cpu) is torch.bfloat16
    units = training.has_bfloat16_units(cpu)
    assert training.resolve_precision("auto", cpu) is (torch.bfloat16 if units else torch.float32)
