"""Networks that were trained elsewhere: weights, factories, ensembles, and what can be wrong."""

import os
import pickle
import subprocess
import sys
import zipfile

import pytest
import torch
from torch import nn
from torchvision.models import resnet18

import bench
from bench.commands.check import CHECKS, Trial, toy
from bench.datasets.base import Task, derive_seed
from bench.datasets.digits import Digits
from bench.datasets.errors import BenchError
from bench.fitting.console import Console
from bench.fitting.fits import Fitter
from bench.fitting.prediction import run_network
from bench.methods.pretrained import Pretrained
from bench.methods.wrapped import _centre
from bench.store.cache import Cache
from bench.store.records import read_all
from tests.own import CLASSES, write_pictures

TASK = Task((1, 4, 4), ("t0",), ("a", "b", "c"))
FACTORIES = """
import torch
from torch import nn
from beside import WIDTH


def make(num_classes=3):
    body = nn.Sequential(nn.Flatten(), nn.Linear(16, WIDTH), nn.ReLU(), nn.Dropout(0.5))
    return nn.Sequential(body, nn.Linear(WIDTH, num_classes))


def colour():
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(4 * 36, 3))


def pooled():
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(1, 3))


def conv():
    return nn.Sequential(nn.Conv2d(1, 3, 4), nn.Flatten())


def maps():
    return nn.Sequential(nn.Conv2d(1, 5, 2), nn.ReLU(), nn.Conv2d(5, 3, 3), nn.Flatten())


class Wrong(nn.Module):
    def forward(self, x):
        return {"logits": x}


def wrong():
    return Wrong()


def nan():
    net = make()
    net[1].bias.data[0] = torch.nan
    return net


def no_module():
    return "a network"


def fails():
    raise RuntimeError("out of\\ncoffee")


def quits():
    raise SystemExit(0)


def softmax():
    return nn.Sequential(make(), nn.Softmax(-1))


class Quits(nn.Module):
    def forward(self, x):
        raise SystemExit(0)


def quits_later():
    return Quits()


class Mean(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = make()

    def forward(self, x):
        return self.net(x).mean(0, keepdim=True)


def mean():
    return Mean()
"""


@pytest.fixture
def nets(tmp_path):
    """A factory file, and two checkpoints of its network."""
    (tmp_path / "nets.py").write_text(FACTORIES)
    (tmp_path / "beside.py").write_text("WIDTH = 6\n")
    for name, seed in (("one", 1), ("two", 2)):
        torch.manual_seed(seed)
        torch.save(network().state_dict(), tmp_path / f"{name}.pt")
    return tmp_path


def network(classes: int = 3) -> nn.Sequential:
    body = nn.Sequential(nn.Flatten(), nn.Linear(16, 6), nn.ReLU(), nn.Dropout(0.5))
    return nn.Sequential(body, nn.Linear(6, classes)).eval()


def made(folder, function="make", *weights, **params) -> Pretrained:
    given = {"weights": tuple(str(folder / name) for name in weights)} | params
    return Pretrained(factory=f"{folder / 'nets.py'}:{function}", **given)


def fitted(method: Pretrained) -> Pretrained:
    parts = toy()
    return method.fit(parts.train, parts.val, seed=0)


def loaded(folder, name: str, classes: int = 3) -> nn.Sequential:
    net = network(classes)
    net.load_state_dict(torch.load(folder / name, weights_only=True))
    return net


X = toy().test.floats(slice(8))


# What is computed


@pytest.mark.parametrize("title", CHECKS)
def test_it_keeps_the_contract(nets, title):
    CHECKS[title](Trial(f"pretrained:factory={nets / 'nets.py'}:make,mc=True,samples=3"))


def test_logits_and_features_are_those_of_the_network(nets):
    method, net = fitted(made(nets, "make", "one.pt")), loaded(nets, "one.pt")
    outputs = method.logits_and_features(X)
    assert torch.equal(outputs.logits[:, 0], net(X))
    assert torch.equal(outputs.features, net[0](X))
    assert torch.equal(method.predict_proba(X)[:, 0, 0], net(X).softmax(-1))


def test_several_weights_are_an_ensemble(nets):
    probs = fitted(made(nets, "make", "one.pt", "two.pt")).predict_proba(X)
    for i, name in enumerate(("one.pt", "two.pt")):
        assert torch.equal(probs[:, i, 0], loaded(nets, name)(X).softmax(-1))
    method = made(nets, "make", "one.pt", "two.pt", mc=True, samples=3)
    assert fitted(method).predict_proba(X).shape == (8, 6, 1, 3)


def test_dropout_draws_one_mask_for_the_whole_batch(nets):
    method = fitted(made(nets, "make", "one.pt", mc=True, samples=4))
    same = X[:1].expand(8, -1, -1, -1)
    probs = method.predict_proba(same)
    assert torch.equal(probs, probs[:1].expand_as(probs))
    assert len(probs[0, :, 0].unique(dim=0)) > 1
    plain = fitted(made(nets, "make", "one.pt"))
    assert torch.equal(method.logits_and_features(X).logits, plain.logits_and_features(X).logits)


def test_images_are_resized_coloured_and_normalised(nets):
    params = {"size": 8, "channels": 3, "mean": (0.1, 0.2, 0.3), "std": (0.5, 0.6, 0.7)}
    method = fitted(made(nets, "colour", **params))
    prepared = method.nets[0].prepared(X)
    wide = nn.functional.interpolate(X, size=(8, 8), mode="bilinear", antialias=True)
    mean, std = (torch.tensor(params[name]).view(3, 1, 1) for name in ("mean", "std"))
    assert torch.allclose(prepared, (wide - mean) / std, atol=1e-6)


def test_the_margin_of_images_is_cut_before_they_are_resized(nets):
    cut = fitted(made(nets, "pooled", crop=2)).nets[0]
    assert torch.equal(cut.prepared(X), X[:, :, 1:3, 1:3])
    both = fitted(made(nets, "pooled", crop=2, size=4)).nets[0]
    wide = nn.functional.interpolate(X[:, :, 1:3, 1:3], size=4, mode="bilinear", antialias=True)
    assert torch.allclose(both.prepared(X), wide, atol=1e-6)
    odd = torch.arange(25.0).view(1, 1, 5, 5)
    assert torch.equal(_centre(odd, 3), odd[..., 1:4, 1:4])


def test_a_network_that_sees_shrunk_images_is_told_how_to_cut_them(nets):
    assert "shrunk from 4 to 2; crop=2 would cut" in made(nets, "pooled", size=2).prepare(TASK)
    for params in ({"crop": 2}, {"crop": 2, "size": 2}, {"size": 8}):
        assert "shrunk" not in made(nets, "pooled", **params).prepare(TASK)


def test_logits_follow_the_order_of_the_data_sets_classes(nets):
    torch.save(network(5).state_dict(), nets / "five.pt")
    method = fitted(made(nets, "make", "five.pt", classes=("c", "x", "a", "y", "b")))
    logits = method.logits_and_features(X).logits[:, 0]
    assert torch.equal(logits, loaded(nets, "five.pt", 5)(X)[:, [2, 4, 0]])


def test_features_can_be_those_of_a_named_module(nets):
    method = fitted(made(nets, "maps", features="1"))
    assert method.logits_and_features(X).features.shape == (8, 5)
    assert "the output of 1" in method.prepare(TASK)
    assert "the input of 1" in made(nets, "make", "one.pt").prepare(TASK)


@pytest.mark.parametrize("nested", ["state_dict", "model", "parallel", "lightning"])
def test_state_dicts_are_found_in_what_scripts_save(nets, nested):
    tensors = loaded(nets, "one.pt").state_dict()
    saved = {nested: tensors, "epoch": 3}
    if nested == "parallel":
        saved = {f"module.{name}": tensor for name, tensor in tensors.items()}
    elif nested == "lightning":
        saved = {"state_dict": {f"net.{name}": tensor for name, tensor in tensors.items()}}
    torch.save(saved, nets / "saved.pt")
    outputs = fitted(made(nets, "make", "saved.pt")).logits_and_features(X)
    assert torch.equal(outputs.logits[:, 0], loaded(nets, "one.pt")(X))


def test_safetensors_are_read(nets):
    safetensors = pytest.importorskip("safetensors.torch")
    safetensors.save_file(loaded(nets, "one.pt").state_dict(), nets / "one.safetensors")
    outputs = fitted(made(nets, "make", "one.safetensors")).logits_and_features(X)
    assert torch.equal(outputs.logits[:, 0], loaded(nets, "one.pt")(X))


@pytest.fixture
def program(nets):
    """The network of one.pt as an exported program."""
    batch = torch.export.Dim("batch", min=1, max=4096)
    exported = torch.export.export(loaded(nets, "one.pt"), (X,), dynamic_shapes=({0: batch},))
    torch.export.save(exported, nets / "one.pt2")
    return nets / "one.pt2"


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_an_exported_program_needs_no_factory(nets, program):
    method = fitted(Pretrained(weights=(str(program),)))
    net = loaded(nets, "one.pt")
    outputs = method.logits_and_features(X)
    assert torch.allclose(outputs.logits[:, 0], net(X), atol=1e-6)
    assert torch.allclose(outputs.features, net[0](X), atol=1e-6)
    assert not method.single_classifier().training
    assert run_network(method, toy().test.x, seed=0, batch=7).probs.shape == (90, 1, 1, 3)


# The key and the name


def test_weights_and_factory_count_by_their_bytes(nets, tmp_path):
    cache = Cache(tmp_path / "cache")
    fitter = Fitter(Digits(), 0, "smoke", torch.device("cpu"), cache, Console(quiet=True))
    before = fitter.key(made(nets, "make", "one.pt"), 0).digest
    assert fitter.key(made(nets, "make", "one.pt"), 0).digest == before
    (nets / "one.pt").write_bytes((nets / "two.pt").read_bytes())
    other = fitter.key(made(nets, "make", "one.pt"), 0).digest
    (nets / "nets.py").write_text(FACTORIES + "# edited\n")
    edited = fitter.key(made(nets, "make", "one.pt"), 0).digest
    assert len({before, other, edited}) == 3


def test_the_name_in_results_tells_no_folder(nets):
    label = Trial(f"pretrained:factory={nets}/nets.py:make,weights={nets}/one.pt").choice.label
    assert label == "pretrained-one"
    assert made(nets, "make", "one.pt", "two.pt").label == "pretrained-one_two"
    assert Pretrained(factory="torchvision.models:resnet18").label == "pretrained-resnet18"


# What is wrong


class Runs:
    """Unpickled, it leaves a file behind."""

    def __init__(self, path) -> None:
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


def wrong(nets, what: str) -> Pretrained:
    saved = loaded(nets, "one.pt").state_dict()
    if what == "keys":
        saved["head.weight"] = saved.pop("1.weight")
    elif what == "shape":
        saved["1.weight"] = torch.zeros(4, 6)
    elif what == "not finite":
        saved["1.weight"][0, 0] = torch.nan
    torch.save(saved, nets / "wrong.pt")
    return made(nets, "make", "wrong.pt")


MESSAGES = {
    "keys": "wrong.pt do not fit the network; missing: 1.weight; unexpected: head.weight",
    "shape": r"of another shape: 1.weight \(4x6 for 3x6\)",
    "not finite": "not finite: 1.weight",
}


@pytest.mark.parametrize("what", MESSAGES)
def test_weights_that_do_not_fit_are_named(nets, what):
    with pytest.raises(BenchError, match=MESSAGES[what]) as caught:
        wrong(nets, what).prepare(TASK)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("function", "params", "message"),
    [
        ("no_module", {}, "returned str, not a torch.nn.Module"),
        ("fails", {}, "RuntimeError: out of coffee"),
        ("nothing", {}, "has no function 'nothing'"),
        ("quits", {}, "failed .SystemExit: 0"),
        ("quits_later", {}, "the network fails on images of 1x4x4"),
        ("wrong", {}, "returns dict, not a tensor of logits"),
        ("mean", {}, "gives 1x3 for 2 images, not logits of each"),
        ("softmax", {}, "gives probabilities, which are not logits"),
        ("nan", {}, "logits that are not finite"),
        ("colour", {}, "the network fails on images of 1x4x4"),
        ("conv", {}, "no linear layer; name a module with features="),
        ("maps", {"features": "fc"}, "has no module 'fc'; it has 0, 1, 2, 3"),
        ("conv", {"features": "0", "mc": True}, "has no dropout layer"),
        ("make", {"classes": ("a", "b")}, "classes= lacks c of the data set"),
        ("make", {"classes": ("a", "b", "c", "a")}, "names a class twice"),
        ("make", {"weights": ("",)}, "weights= names no file"),
        ("make", {"mean": (0.1, 0.2)}, "mean= takes 1 or 1 numbers"),
        ("make", {"std": (0.0,)}, "std=0 divides by nothing"),
        ("colour", {"size": 8, "channels": 2}, "channels is 0, 1 or 3"),
        ("make", {"crop": 5}, "crop is from 0 to 4, the side of the images, not 5"),
    ],
)
def test_a_network_that_does_not_fit_is_one_line(nets, function, params, message):
    with pytest.raises(BenchError, match=message) as caught:
        made(nets, function, **params).prepare(TASK)
    assert "\n" not in str(caught.value)


def test_logits_of_another_number_of_classes_are_refused(nets):
    with pytest.raises(BenchError, match="3 logits an image, and the data set has 4 classes"):
        made(nets, "maps", features="0").prepare(Task((1, 4, 4), ("t",), tuple("abcd")))


def test_files_that_are_not_there_are_named(nets):
    with pytest.raises(BenchError, match=r"there is no file .*gone.pt"):
        made(nets, "make", "gone.pt").prepare(TASK)
    with pytest.raises(BenchError, match="there is no such file"):
        Pretrained(factory=f"{nets}/gone.py:make").prepare(TASK)
    with pytest.raises(BenchError, match="give factory="):
        Pretrained().prepare(TASK)


@pytest.mark.parametrize("name", ["bad.pt", "bad.safetensors", "bad.pt2"])
def test_a_file_of_no_weights_is_one_line(nets, name, caplog):
    (nets / name).write_bytes(b"PK\x03\x04 cut")
    with pytest.raises(BenchError, match=f"{name} is ") as caught:
        made(nets, "make", name).prepare(TASK)
    assert "\n" not in str(caught.value)
    assert not caplog.records


@pytest.mark.parametrize("how", ["torch", "pickle", "zip"])
def test_a_pickle_never_runs(nets, how):
    flag, path = nets / "ran", nets / "evil.pt"
    if how == "torch":
        torch.save({"net": Runs(flag)}, path)
    elif how == "pickle":
        path.write_bytes(pickle.dumps(Runs(flag)))
    else:
        torch.save(Runs(flag), path, _use_new_zipfile_serialization=False)
    with pytest.raises(BenchError, match=r"evil.pt is (a pickle of more than tensors|damaged)"):
        made(nets, "make", "evil.pt").prepare(TASK)
    assert not flag.exists()


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_a_pickle_in_an_exported_program_never_runs(nets, program):
    flag, evil = nets / "ran", nets / "evil.pt2"
    torch.save({"x": Runs(flag)}, nets / "payload")
    payload = (nets / "payload").read_bytes()
    with zipfile.ZipFile(program) as source, zipfile.ZipFile(evil, "w") as target:
        names = source.namelist()
        assert any(name.endswith(".pt") for name in names), names
        for name in names:
            target.writestr(name, payload if name.endswith(".pt") else source.read(name))
    with pytest.raises(BenchError, match=r"evil.pt2 is no exported program"):
        Pretrained(weights=(str(evil),)).prepare(TASK)
    assert not flag.exists()
    assert "TORCH_FORCE_WEIGHTS_ONLY_LOAD" not in os.environ


# The whole way


def run(*words: str, cwd, **environment: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "bench", *words], cwd=cwd, capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": str(bench.ROOT), "OMP_NUM_THREADS": "1", **environment},
    )  # fmt: skip


def test_a_torchvision_network_is_measured_on_a_folder_of_pictures(tmp_path):
    write_pictures(tmp_path / "pets", 12)
    write_pictures(tmp_path / "fog", 6, (".",))
    torch.manual_seed(derive_seed("resnet"))
    torch.save(resnet18(num_classes=len(CLASSES)).state_dict(), tmp_path / "pets18.pt")
    words = ["run", "--datasets", "folder:path=pets", "--scenarios", "clean,cross_dataset"]
    words += ["--outliers", "near=fog", "--seeds", "0", "--preset", "smoke", "--results", "r"]
    words += ["--methods"]
    place = {"cwd": tmp_path, "BENCH_DATA": str(tmp_path / "data")}
    named = (
        "pretrained:factory=torchvision.models:resnet18,weights=pets18.pt,mean=0.485,0.456,0.406"
    )
    done = run(*words, named, **place)
    assert done.returncode == 0, done.stderr
    records, problems = read_all(tmp_path / "r" / "rows")
    assert not problems
    assert {(r.dataset, r.method) for r in records} == {("folder-pets", "pretrained-pets18")}
    views = {(row.view, row.group) for r in records for row in r.rows}
    assert ("outliers-fog", "near") in views
    assert "pretrained-pets18: features are the input of fc" in done.stdout
    assert "up to date" in run(*words, named, **place).stdout
    weights = torch.load(tmp_path / "pets18.pt", weights_only=True)
    torch.save({k: v for k, v in weights.items() if k != "fc.bias"}, tmp_path / "pets18.pt")
    done = run(*words, named, **place)
    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        "bench: the weights pets18.pt do not fit the network; missing: fc.bias"
    ]
