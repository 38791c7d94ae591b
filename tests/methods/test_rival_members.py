"""Known answers of the ensembles within one network."""

import pytest
import torch
from torch.nn import functional

from bench.datasets.base import Task
from bench.datasets.errors import BenchError
from bench.methods.batch_ensemble import BatchEnsemble, SharedConvolution, SharedLinear
from bench.methods.masksembles import Masksembles, masks
from bench.methods.mimo import Mimo
from bench.methods.packed_ensemble import GroupedLinear, PackedEnsemble
from bench.methods.training import Batch

TASK = Task((1, 8, 8), ("a", "b"), ("x", "y", "z"))
SMALL = {"blocks": 2, "width": 8, "channels": 4}
ON_MAPS = ["cnn", "resnet"]


def inputs(n: int = 4) -> torch.Tensor:
    return torch.rand(n, 1, 8, 8, generator=torch.Generator().manual_seed(0))


def batch(n: int = 6) -> Batch:
    y = torch.randint(3, (n, 2), generator=torch.Generator().manual_seed(1))
    return Batch(inputs(n), y, y[:, :0], 0.5, n)


METHODS = [Mimo, PackedEnsemble, BatchEnsemble, Masksembles]


@pytest.mark.parametrize("cls", METHODS)
@pytest.mark.parametrize("backbone", ["mlp", *ON_MAPS])
def test_samples_are_members_and_the_first_is_the_single_classifier(cls, backbone):
    method = cls(size=2, backbone=backbone, **SMALL)
    method.net = method.build(TASK).eval()
    with torch.no_grad():
        probs = method.predict_proba(inputs())
        logits, features = method.logits_and_features(inputs())
        torch.testing.assert_close(method.single_classifier()(inputs()), logits)
    assert probs.shape == (4, 2, 2, 3)
    torch.testing.assert_close(probs[:, 0], logits.softmax(-1))
    assert not torch.allclose(probs[:, 0], probs[:, 1])
    assert features.ndim == 2


def test_a_grouped_layer_is_a_linear_layer_of_blocks():
    layer = GroupedLinear(6, 4, groups=2)
    whole = torch.block_diag(*layer.weight.unflatten(0, (2, 2)))
    x = torch.rand(5, 6)
    torch.testing.assert_close(layer(x), functional.linear(x, whole, layer.bias))


@pytest.mark.parametrize("backbone", ["mlp", *ON_MAPS])
def test_packed_members_share_nothing(backbone):
    method = PackedEnsemble(size=2, backbone=backbone, **SMALL)
    net = method.build(TASK).eval()
    net.of_all(inputs())[:, 0].square().sum().backward()
    for name, p in net.named_parameters():
        mine, other = p.grad.chunk(2)
        assert mine.any(), name
        assert not other.any(), name


def test_packed_members_have_their_share_of_the_width():
    net = PackedEnsemble(size=4, alpha=2, blocks=1, width=256).build(TASK)
    assert net.net.width == 512
    assert net.first(inputs()).features.shape == (4, 128)


def test_packed_members_are_refused_where_halves_would_mix():
    with pytest.raises(BenchError, match=r"revnet.*take resnet"):
        PackedEnsemble(backbone="revnet").prepare(TASK)


def test_mimo_learns_from_another_image_for_each_head():
    method = Mimo(size=2, **SMALL)
    net, one = method.build(TASK).eval(), batch()
    with torch.random.fork_rng():
        torch.manual_seed(3)
        loss = method.loss(net, one)
        torch.manual_seed(3)
        orders = [torch.randperm(6), torch.randperm(6)]
    logits = net.net(torch.cat([one.x[order] for order in orders], 1))  # (6, 4, 3)
    losses = [
        functional.cross_entropy(logits[:, 2 * m + t], one.y[order][:, t])
        for m, order in enumerate(orders)
        for t in range(2)
    ]
    torch.testing.assert_close(loss, torch.stack(losses).mean())


@pytest.mark.parametrize(
    "layer", [SharedLinear(3, 5, members=2), SharedConvolution(3, 5, members=2)]
)
def test_a_member_has_the_shared_weights_times_its_factors(layer):
    is_linear = isinstance(layer, SharedLinear)
    own = layer.own
    with torch.no_grad():
        for p in own.parameters():
            p.copy_(torch.randn(p.shape))
    x = torch.rand(8, 3) if is_linear else torch.rand(8, 3, 4, 4)  # four inputs of two members
    for m, (part, out) in enumerate(zip(x.chunk(2), layer(x).chunk(2), strict=True)):
        factors = own.of_outputs[m][:, None] * own.of_inputs[m]
        if is_linear:
            wanted = functional.linear(part, layer.weight * factors, own.bias[m])
        else:
            kernel = layer.weight * factors[..., None, None]
            wanted = functional.conv2d(part, kernel, own.bias[m], padding=1)
        torch.testing.assert_close(out, wanted)


def test_factors_start_as_signs():
    values = SharedLinear(50, 50, members=2).own.of_inputs
    assert values.unique().tolist() == [-1, 1]


@pytest.mark.parametrize("cls", [BatchEnsemble, PackedEnsemble])
def test_the_loss_is_the_mean_over_members(cls):
    method = cls(size=2, **SMALL)
    net, one = method.build(TASK).eval(), batch()
    losses = [
        functional.cross_entropy(logits.flatten(0, 1), one.y.flatten())
        for logits in net.of_all(one.x).unbind(1)
    ]
    torch.testing.assert_close(method.loss(net, one), torch.stack(losses).mean())


@pytest.mark.parametrize(("features", "scale"), [(8, 2.0), (256, 2.0), (33, 3.0), (1, 1.5)])
def test_masks_keep_each_feature_and_a_share_of_all(features, scale):
    drawn = masks(4, features, scale)
    assert drawn.shape == (4, features)
    assert drawn.any(0).all()
    if features == 256:  # 1 / (scale (1 - (1 - 1 / scale)^4)) of them
        assert drawn.mean().item() == pytest.approx(0.5 / (1 - 0.5**4), abs=0.02)


def test_masks_of_scale_1_keep_all_and_a_larger_one_less_in_common():
    def common(scale: float) -> float:
        a, b = masks(2, 512, scale)
        return float((a * b).mean())

    assert common(1) == 1
    assert common(1) > common(1.5) > common(3)


def test_a_masked_member_leaves_its_features_out():
    method = Masksembles(size=3, **SMALL)
    method.net = net = method.build(TASK).eval()
    with torch.no_grad():
        for m, probs in enumerate(method.predict_proba(inputs()).unbind(1)):
            torch.testing.assert_close(probs, net.net.masked(inputs(), net.masks[:, m]).softmax(-1))
        ours = net.of_one_each(inputs())
        for i in range(4):
            alone = net.net.masked(inputs()[i : i + 1], net.masks[:, i % 3])
            torch.testing.assert_close(ours[i : i + 1], alone)
