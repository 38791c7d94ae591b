"""Backbones and decoders of every method: shapes, reversibility, and the memory it saves."""

import sys
from importlib import import_module

import pytest
import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks

from bench.commands.check import CHECKS, Trial
from bench.datasets.base import Task
from bench.datasets.errors import BenchError
from bench.discover import choose
from bench.errors import UnknownNameError
from bench.methods.backbones import BACKBONES, make_classifier
from bench.methods.backbones.revnet import ReversibleBlock
from bench.methods.bayes import Bayes
from bench.methods.bayes_layers import BayesConvolution, BayesLayer, complexity, drawn_weights
from bench.methods.decnn import DecNN
from bench.methods.decoders import DECODERS, make_decoder
from bench.methods.nets import Layers, convolution
from bench.methods.redecnn import ReDecNN, classify_paths, recursive_loss
from bench.methods.standard import Standard
from bench.store.code import code_digest

TINY = {"blocks": 2, "channels": 8, "epochs": 1, "min_updates": 2, "conv_min_updates": 2}
PAIRS = [
    ("standard", "cnn"), ("standard", "resnet"), ("standard", "revnet"), ("mc_dropout", "revnet"),
    ("bayes", "cnn"), ("ensemble", "resnet"), ("decnn", "cnn"), ("redecnn", "revnet"),
]  # fmt: skip
SHAPES = {  # of images, and the size of the maps made of them
    (1, 4, 4): (4, 4), (1, 8, 8): (8, 8), (1, 28, 28): (10, 10), (1, 40, 31): (14, 11),
    (3, 32, 32): (8, 8), (3, 64, 64): (8, 8),
}  # fmt: skip
ON_MAPS = [name for name in BACKBONES.names() if BACKBONES[name].on_maps]
every_backbone = pytest.mark.parametrize("backbone", ON_MAPS)
every_shape = pytest.mark.parametrize("shape", SHAPES, ids=str)


def task(shape=(1, 8, 8)) -> Task:
    return Task(shape, ("side", "shade"), ("no", "yes"))


def images(n: int, shape=(1, 8, 8)) -> Tensor:
    return torch.rand(n, *shape, generator=torch.Generator().manual_seed(1))


def classifier(backbone: str, *, shape=(1, 8, 8), blocks=3, channels=8, seed=0, **rest):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return make_classifier(
            task(shape),
            backbone=backbone,
            blocks=blocks,
            width=16,
            channels=channels,
            activation="relu",
            **rest,
        )


@pytest.mark.parametrize(("method", "backbone"), PAIRS)
def test_the_contract_holds_on_every_backbone(method, backbone):
    spec = f"{method}:backbone={backbone}," + ",".join(f"{k}={v}" for k, v in TINY.items())
    trial = Trial(spec)
    for check in CHECKS.values():
        check(trial)


def test_an_mlp_keeps_the_names_of_its_weights():
    names = list(Standard(blocks=1).build(task()).state_dict())
    layers = ["blocks.0.linear", "blocks.0.norm", "head"]
    assert names == [f"{layer}.{kind}" for layer in layers for kind in ("weight", "bias")]


@every_backbone
@pytest.mark.parametrize(("shape", "size"), SHAPES.items(), ids=str)
def test_activations_of_all_blocks_have_one_shape(backbone, shape, size):
    net, x = classifier(backbone, shape=shape), images(2, shape)
    h = net.activations(x)
    assert h.shape == (3, 2, *net.shape)
    assert net.shape == (8, *size)
    assert net.features(h[-1]).shape == (2, net.width) == (2, 32)
    assert torch.equal(net.classify(h[-1]), net(x))
    assert net(x).shape == (2, 2, 2)


@every_backbone
def test_every_pixel_counts(backbone):
    x = images(1, (3, 28, 31)).requires_grad_()
    classifier(backbone, shape=(3, 28, 31), channels=32)(x)[..., 0].sum().backward()
    assert bool((x.grad != 0).all())


@every_backbone
def test_nets_on_maps_make_more_updates_at_least(backbone):
    assert Standard().recipe().min_updates == 1000
    assert Standard(backbone=backbone).recipe().min_updates == 1200
    assert Standard(backbone=backbone, min_updates=2000).recipe().min_updates == 2000
    assert Standard(backbone=backbone, conv_min_updates=0).recipe().min_updates == 1000


@every_backbone
def test_there_are_no_batch_statistics(backbone):
    net, x = classifier(backbone), images(6)
    assert not list(net.buffers())
    torch.testing.assert_close(net(x)[:2], net(x[:2]))


@every_backbone
def test_features_of_a_method_are_those_of_the_last_hidden_layer(backbone):
    method = Standard(backbone=backbone, **TINY)
    method.net = method.build(task()).eval()
    logits, features = method.logits_and_features(images(5))
    assert features.shape == (5, 32)
    assert torch.equal(logits, method.net(images(5)))


@every_shape
@pytest.mark.parametrize("decoder", ["auto", *DECODERS.names()])
@pytest.mark.parametrize("backbone", ["mlp", "cnn"])
def test_every_decoder_reads_every_activation(backbone, decoder, shape):
    f = classifier(backbone, shape=shape)
    g = make_decoder(task(shape), decoder=decoder, inputs=f.shape, width=32)
    h = f.activations(images(2, shape))
    decoded = g(h)
    assert decoded.shape == (3, 2, *shape)
    assert 0 < decoded.min() < decoded.max() < 1
    torch.testing.assert_close(decoded[1], g(h[1]))
    assert not torch.allclose(decoded[:, 0], decoded[:, 1])


def test_the_decoder_of_the_paper_is_as_wide_as_a_resnet_18():
    method = DecNN(**DecNN.defaults("paper"))
    net = method.build(task((1, 32, 32)))
    sizes = []
    for layer in net.decoder.layers:
        layer.register_forward_hook(lambda _, __, out: sizes.append(tuple(out.shape[1:])))
    net.decoder(net.classifier.activations(images(1, (1, 32, 32)))[0])
    assert method.decoder == "resnet"
    for size in [(512, 4, 4), (256, 8, 8), (128, 16, 16), (64, 32, 32)]:
        assert size in sizes
    assert sizes[-1] == (1, 32, 32)


@every_backbone
def test_masks_of_ones_are_no_dropout_and_zeros_drop_channels(backbone):
    net, x = classifier(backbone, rate=0.5).eval(), images(4)
    torch.testing.assert_close(net.masked(x, torch.ones(3, 8)), net(x))
    dropped = torch.ones(3, 8)
    dropped[0] = 0
    (first, *_) = net.steps(x, dropped)
    unchanged = torch.zeros_like(first) if backbone == "cnn" else net.stem(x)
    torch.testing.assert_close(first, unchanged)
    own = torch.ones(3, 4, 8)
    own[0, 2] = 0
    (first, *_) = net.steps(x, own)
    torch.testing.assert_close(first[2], unchanged[2])
    (whole, *_) = net.steps(x)
    torch.testing.assert_close(first[[0, 1, 3]], whole[[0, 1, 3]])


def test_training_drops_whole_channels():
    net = classifier("cnn", rate=0.5).train()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        (h, *_) = net.steps(images(50))
    silent = (h == 0).all(dim=(2, 3)).float().mean()
    assert 0.35 < silent < 0.65


def test_a_convolution_with_drawn_weights_is_that_of_its_means_plus_noise():
    settings = Bayes().params()
    prior = {k: v for k, v in settings.items() if k.startswith(("prior", "posterior"))}
    layer, x = BayesConvolution(2, 3, **prior), images(1, (2, 5, 5))
    plain = convolution(2, 3)
    plain.load_state_dict({"weight": layer.weight.mu.detach(), "bias": layer.bias.mu.detach()})
    torch.testing.assert_close(layer(x), plain(x))
    with drawn_weights(layer):
        assert not torch.allclose(layer(x), plain(x))
        torch.nn.init.constant_(layer.weight.rho, -40.0)
        torch.nn.init.constant_(layer.bias.rho, -40.0)
        torch.testing.assert_close(layer(x), plain(x))


@every_backbone
def test_the_complexity_counts_every_layer_and_teaches_every_weight(backbone):
    net = Bayes(backbone=backbone, **TINY).build(task()).train()
    layers = [m for m in net.modules() if isinstance(m, BayesLayer)]
    convolutions = {"cnn": 1, "resnet": 2, "revnet": 4}[backbone]
    assert len(layers) == 2 + 2 * convolutions + 2  # stem, two blocks, hidden layer, head
    with drawn_weights(net):
        logits = net(images(3))
    torch.testing.assert_close(complexity(net), sum(layer.complexity for layer in layers))
    (logits.square().sum() + complexity(net)).backward()
    assert all(bool(p.grad.abs().sum() > 0) for p in net.parameters())


def test_odd_channels_have_no_halves():
    with pytest.raises(BenchError, match="channels=7 has no halves; take an even number"):
        classifier("revnet", channels=7)


@every_backbone
def test_paths_through_maps_are_followed_layer_by_layer(backbone):
    net = ReDecNN(backbone=backbone, decoder_width=32, **TINY).build(task()).eval()
    x, path = images(3), [1, 0]
    image = x
    for layer in path:
        image = net.decoder(net.classifier.activations(image)[layer])
    logits = classify_paths(net, x, torch.tensor(path).expand(3, 1, 2))
    torch.testing.assert_close(logits[:, 0], net.classifier(image))


# Registration

WIDE = """
from bench.methods.backbones import backbone
from bench.methods.backbones.mlp import mlp

@backbone("wide")
def wide(task, *, features, **settings):
    return mlp(task, features=2 * features, **settings)
"""


@pytest.fixture
def wide(tmp_path, monkeypatch):
    (tmp_path / "wide_backbone.py").write_text(WIDE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(BACKBONES, "_entries", dict(BACKBONES._entries))
    import_module("wide_backbone")
    yield
    del sys.modules["wide_backbone"]


def test_a_backbone_is_one_file_that_refits_nothing_else(wide):
    methods = [Standard(), DecNN(), ReDecNN(backbone="cnn")]
    before = [code_digest(*method.code_modules()) for method in methods]
    assert "wide" in Standard.choices("backbone")
    (choice,) = choose("method", "standard:backbone=wide", {"standard": Standard})
    net = choice.cls(**choice.params).build(task())
    assert net.shape == (512,)
    code_digest.cache_clear()
    assert before == [code_digest(*method.code_modules()) for method in methods]


def test_a_fit_depends_on_the_code_of_its_own_backbone_and_decoder():
    package = "bench.methods"
    assert Standard().code_modules() == (f"{package}.standard", f"{package}.backbones.mlp")
    assert DecNN(backbone="cnn").code_modules() == (
        f"{package}.decnn", f"{package}.backbones.cnn", f"{package}.decoders.conv",
    )  # fmt: skip
    digests = {code_digest(*Standard(backbone=name).code_modules()) for name in BACKBONES.names()}
    assert len(digests) == len(BACKBONES.names()) == 4


def test_two_files_with_one_backbone_are_named(wide):
    def other() -> None: ...

    with pytest.raises(BenchError, match=r"backbone 'wide': wide_backbone and .*test_backbones"):
        BACKBONES.register("wide")(other)


def test_an_unknown_backbone_is_named():
    with pytest.raises(UnknownNameError, match="Did you mean 'resnet'"):
        choose("method", "standard:backbone=resnt", {"standard": Standard})
    with pytest.raises(BenchError, match=r"unknown backbone 'resnt'\. Known: cnn, mlp"):
        Standard(backbone="resnt").build(task())


# Reversible blocks


def reversible(blocks: int = 3, **rest):
    """The same weights twice: once recomputing, once storing activations."""
    saving, storing = (classifier("revnet", blocks=blocks, **rest).double() for _ in range(2))
    assert saving.recomputes
    storing.recomputes = False
    return saving, storing


def test_a_block_is_undone_and_its_gradients_are_the_plain_ones():
    block = ReversibleBlock(
        6, activation="gelu", rate=0.0, layers=Layers(torch.nn.Linear, convolution)
    )
    block = block.double()
    x = torch.randn(2, 6, 4, 4, dtype=torch.float64, requires_grad=True)
    y, slope = block(x), torch.randn(2, 6, 4, 4, dtype=torch.float64)
    wanted = torch.autograd.grad(y, [x, *block.parameters()], slope)
    before, of_x, of_parameters = block.undo(y.detach(), slope)
    torch.testing.assert_close(before, x.detach())
    for a, b in zip([of_x, *of_parameters], wanted, strict=True):
        torch.testing.assert_close(a, b)


def test_recomputed_gradients_are_the_stored_ones():
    x = images(4).double()
    weights = torch.randn(3, 4, 8, 8, 8, dtype=torch.float64)
    found = []
    for net in reversible():
        inputs = x.clone().requires_grad_()
        ((net.activations(inputs) * weights).sum() + net(inputs).square().sum()).backward()
        found.append([inputs.grad, *(p.grad for p in net.parameters())])
    for a, b in zip(*found, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-9)


def test_gradients_agree_with_differences():
    net, _ = reversible(blocks=2, shape=(1, 4, 4), channels=4)
    x = images(1, (1, 4, 4)).double().requires_grad_()
    assert torch.autograd.gradcheck(net.activations, (x,))


def test_a_frozen_network_still_gives_gradients_of_its_inputs():
    saving, storing = reversible()
    found = []
    for net in (saving.requires_grad_(False), storing):
        x = images(2).double().requires_grad_()
        net(x)[..., 0].sum().backward()
        found.append(x.grad)
    torch.testing.assert_close(*found)


def test_recomputed_gradients_survive_half_precision():
    found = []
    for net in reversible(blocks=8):
        net.float()
        with torch.autocast("cpu", torch.bfloat16):
            loss = net(images(16)).float().square().sum()
        loss.backward()
        found.append(torch.cat([p.grad.flatten() for p in net.parameters()]))
    assert torch.nn.functional.cosine_similarity(*found, dim=0) > 0.999


@pytest.mark.parametrize("rest", [{"rate": 0.5}, {"layers": Layers(torch.nn.Linear, convolution)}])
def test_blocks_that_may_draw_numbers_are_stored(rest):
    assert not classifier("revnet", **rest).recomputes


def kept_bytes(backbone: str, depth: int, blocks: int = 8) -> int:
    """Return the bytes that a recursion of this depth keeps for its backward pass."""
    net = ReDecNN(backbone=backbone, blocks=blocks).build(task((1, 32, 32)))
    own = {p.untyped_storage().data_ptr() for p in net.parameters()}
    kept: dict[int, Tensor] = {}

    def keep(tensor: Tensor) -> Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor  # held, so that no address comes twice
        return tensor

    x, y = images(8, (1, 32, 32)), torch.zeros(8, 2, dtype=torch.long)
    layers = torch.randint(blocks, (depth, 8), generator=torch.Generator().manual_seed(0))
    with saved_tensors_hooks(keep, lambda tensor: tensor):
        loss = recursive_loss(net, x, y, layers, alpha=0.5, beta=0.05)
    assert loss.isfinite()
    return sum(t.untyped_storage().nbytes() for at, t in kept.items() if at not in own)


def test_reversible_blocks_save_most_of_the_memory_of_a_recursion():
    for depth in (2, 8, 16):
        assert kept_bytes("revnet", depth) < kept_bytes("resnet", depth) / 4


def test_memory_of_reversible_blocks_does_not_grow_with_their_number():
    few, many = kept_bytes("revnet", 2, blocks=4), kept_bytes("revnet", 2, blocks=16)
    assert many < 1.02 * few
    assert kept_bytes("resnet", 2, blocks=16) > 2 * kept_bytes("resnet", 2, blocks=4)
