"""Published checkpoints: the golden numbers of the published implementation, and what is refused."""

import ast
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from paths import TESTS

from multiresconv import MultiresAR, MultiresLayer, load, load_published, save
from multiresconv.models.logistic_mixture import mixture_log_prob

GOLDEN = TESTS / "golden" / "model"
NAMES = ["classifier_linear_layernorm", "classifier_embedding_batchnorm_lengths"]
LINEAR = GOLDEN / f"{NAMES[0]}.ckpt.pth"

DENSITY = "density_layernorm"
PUBLISHED_NAMES = {
    "conv": "seq_layers.{}.",
    "mix": "mixing_layers.{}.0.",
    "projection": "mixing_layers.{}.3.",
    "norm": "norms.{}.",
}


def published_config(name):
    with np.load(GOLDEN / f"{name}.npz") as golden:
        return ast.literal_eval(str(golden["config"]))


def published_name(name, output="output_mapping"):
    """The published name of a parameter, spelled out here once more, as an oracle."""
    parts = name.split(".")
    if parts[:2] == ["net", "blocks"]:
        return PUBLISHED_NAMES[parts[3]].format(parts[2]) + parts[4]
    return {"net": "encoder", "head": output}[parts[0]] + "." + parts[-1]


@pytest.mark.parametrize("backend", ["reference", "auto"])
@pytest.mark.parametrize("name", NAMES)
def test_golden_logits_loss_and_gradients(name, backend):
    model = load_published(GOLDEN / f"{name}.ckpt.pth", published_config(name))
    assert not model.training
    for layer in model.modules():
        if isinstance(layer, MultiresLayer):
            layer.backend = backend
    with np.load(GOLDEN / f"{name}.npz") as golden:
        x = torch.from_numpy(golden["input"])
        x = x.mT if x.ndim == 3 else x
        lengths = torch.from_numpy(golden["lengths"]) if golden["lengths"].size else None
        logits = model(x, lengths)
        torch.testing.assert_close(logits, torch.from_numpy(golden["logits"]), atol=1e-5, rtol=1e-5)
        loss = F.cross_entropy(logits, torch.from_numpy(golden["target"]))
        assert abs(loss.item() - golden["loss"]) < 1e-5
        loss.backward()
        gradients = {f"grad_{published_name(n)}": p.grad for n, p in model.named_parameters()}
        assert gradients.keys() == {key for key in golden.files if key.startswith("grad_")}
        for key, grad in gradients.items():
            assert grad is not None
            expected = torch.from_numpy(golden[key]).reshape(grad.shape)
            torch.testing.assert_close(grad, expected, atol=1e-5, rtol=1e-5, msg=lambda text, key=key: f"{key}: {text}")


@pytest.mark.parametrize("backend", ["reference", "auto"])
def test_golden_density(backend):
    """Parameters of the mixtures, likelihood, bits per dimension and the gradient that went all the way back."""
    model = load_published(GOLDEN / f"{DENSITY}.ckpt.pth", published_config(DENSITY))
    assert isinstance(model, MultiresAR)
    assert not model.training
    for layer in model.modules():
        if isinstance(layer, MultiresLayer):
            layer.backend = backend
    with np.load(GOLDEN / f"{DENSITY}.npz") as golden:
        pixels = torch.from_numpy(golden["image_uint8"]).flatten(2).mT
        params = torch.from_numpy(golden["params"]).mT
        torch.testing.assert_close(model(pixels), params, atol=1e-5, rtol=1e-5)
        # The likelihood of the published parameters, and that of the parameters found here.
        assert mixture_log_prob(params, pixels).sum().item() == pytest.approx(-golden["nll_nats"], rel=1e-6)
        log_prob = model.log_prob(pixels)
        assert log_prob.item() == pytest.approx(-golden["nll_nats"], rel=1e-6)
        assert model.bits_per_dim(pixels).item() == pytest.approx(golden["bits_per_dim"], abs=1e-5)
        (-log_prob).backward()
        grad, expected = model.net.encoder.weight.grad, torch.from_numpy(golden["grad_encoder_weight"]).squeeze(2)
        torch.testing.assert_close(grad, expected, atol=1e-5 * expected.abs().max().item(), rtol=1e-5)


@pytest.mark.parametrize("name", [*NAMES, DENSITY])
def test_a_published_model_can_be_saved(name, tmp_path):
    model = load_published(GOLDEN / f"{name}.ckpt.pth", published_config(name))
    save(model, tmp_path)
    assert all(torch.equal(tensor, load(tmp_path).state_dict()[key]) for key, tensor in model.state_dict().items())


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"tree_select": "uniform", "d_mem": 8}, {"memory": [1, 2, 4, 0, 0, 0, 0]}),
        ({"hinit": "db2", "kernel_size": 4, "depth": 5}, {"wavelet": "db2", "memory": [1] * 5}),
        ({"depth": 3, "max_length": 100}, {"kernel_size": 2, "memory": [1] * 3}),
        ({"indep_res_init": True, "dropout": 0.1}, {"own_skip_init": True, "dropout": 0.1}),
    ],
)
def test_published_options_are_understood(tmp_path, options, expected):
    """A checkpoint of that configuration, written in the published format, comes back with its values."""
    config = {"d_input": 2, "d_output": 3, "d_model": 4, "n_layers": 1, "max_length": 100, **options}
    size = sum(expected.get("memory", [1] * 7)) + 2
    taps = options.get("kernel_size", 2)
    shapes = {
        "encoder.weight": (4, 2, 1),
        "encoder.bias": (4,),
        "seq_layers.0.h0": (4, 1, taps),
        "seq_layers.0.h1": (4, 1, taps),
        "seq_layers.0.w": (4, size),
        "mixing_layers.0.0.weight": (8, 4, 1),
        "mixing_layers.0.0.bias": (8,),
        "norms.0.weight": (4,),
        "norms.0.bias": (4,),
        "output_mapping.weight": (3, 4),
        "output_mapping.bias": (3,),
    }
    state = {f"module.{name}": torch.randn(shape) for name, shape in shapes.items()}
    torch.save({"model": state, "epoch": 1}, tmp_path / "ckpt.pth")
    model = load_published(tmp_path / "ckpt.pth", config)
    assert {name: model.config[name] for name in expected} == expected
    for name, tensor in model.named_parameters():
        assert torch.equal(tensor.flatten(), state[f"module.{published_name(name)}"].flatten())


@pytest.mark.parametrize("d_input", [1, 3])
@pytest.mark.parametrize("batchnorm", [False, True])
def test_published_density_options_are_understood(tmp_path, d_input, batchnorm):
    """A checkpoint with everything at its published default but the size, written in the published format."""
    config = {"d_input": d_input, "nr_logistic_mix": 5, "d_model": 4, "n_layers": 2, "depth": 3, "batchnorm": batchnorm}
    shapes = {"encoder.weight": (4, d_input, 1), "encoder.bias": (4,)}
    for i in range(2):
        shapes |= {f"seq_layers.{i}.{name}": shape for name, shape in {"h0": (4, 1, 2), "h1": (4, 1, 2)}.items()}
        shapes |= {f"seq_layers.{i}.w": (4, 5), f"norms.{i}.weight": (4,), f"norms.{i}.bias": (4,)}
        shapes |= {f"mixing_layers.{i}.0.weight": (8, 4, 1), f"mixing_layers.{i}.0.bias": (8,)}
        shapes |= {f"mixing_layers.{i}.3.weight": (4, 4, 1), f"mixing_layers.{i}.3.bias": (4,)}
        if batchnorm:
            shapes |= {f"norms.{i}.running_mean": (4,), f"norms.{i}.running_var": (4,)}
    size = 5 * {1: 3, 3: 10}[d_input]
    shapes |= {"decoder.weight": (size, 4, 1), "decoder.bias": (size,)}
    state = {f"module.{name}": torch.rand(shape) for name, shape in shapes.items()}
    if batchnorm:
        state |= {f"module.norms.{i}.num_batches_tracked": torch.tensor(7) for i in range(2)}
    torch.save({"model": state, "epoch": 1}, tmp_path / "ckpt.pth")
    model = load_published(tmp_path / "ckpt.pth", config)
    expected = {"n_channels": d_input, "n_mixtures": 5, "dropout": 0.2, "norm": "batch" if batchnorm else "layer"}
    assert {name: model.config[name] for name in expected} == expected
    for name, tensor in model.named_parameters():
        assert torch.equal(tensor.flatten(), state[f"module.{published_name(name, 'decoder')}"].flatten())
    assert isinstance(model, MultiresAR)
    assert model.bits_per_dim(torch.zeros(1, 9, d_input, dtype=torch.uint8)).isfinite()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"d_input": 2}, "n_channels: expected 1 .grey. or 3 .colour., got 2"),
        ({"d_input": 1}, "encoder.weight: expected shape .16, 1, 1., got .16, 3, 1."),
        ({"nr_logistic_mix": 5}, "decoder.weight: expected shape .50, 16, 1., got .100, 16, 1."),
        ({"n_layers": 1}, "unknown .*mixing_layers.1.3.weight"),
        ({"n_layers": 3}, "missing .*mixing_layers.2.3.weight"),
        ({"d_output": 100}, "config: .*'d_output'"),
        ({"encoder": "embedding", "n_tokens": 256}, "encoder: expected linear for a density model, got 'embedding'"),
        ({"batchnorm": True}, "missing .*norms.0.running_mean"),
    ],
)
def test_density_configurations_that_do_not_fit_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        load_published(GOLDEN / f"{DENSITY}.ckpt.pth", {**published_config(DENSITY), **changes})


def test_a_density_model_is_not_loaded_as_a_classifier():
    config = published_config(DENSITY)
    mixtures = config.pop("nr_logistic_mix")
    with pytest.raises(ValueError, match=r"missing .*output_mapping.weight.*; unknown .*decoder.weight"):
        load_published(GOLDEN / f"{DENSITY}.ckpt.pth", config)
    with pytest.raises(ValueError, match=r"config: .*d_output"):
        load_published(LINEAR, {**published_config(NAMES[0]), "nr_logistic_mix": mixtures})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"colour": "red"}, "config: .*'colour'"),
        ({"encoder": "conv"}, "encoder: expected linear or embedding, got 'conv'"),
        ({"layer_type": "s4"}, "layer_type: expected multires, got 's4'"),
        ({"tree_select": "random"}, "tree_select: expected fading or uniform, got 'random'"),
        ({"tree_select": "uniform"}, "d_mem: needed with tree_select 'uniform'"),
        ({"encoder": "embedding"}, "n_tokens: needed with encoder 'embedding'"),
        ({"hinit": "db2"}, "kernel_size: expected 4, the length of wavelet 'db2', got 2"),
        ({"max_length": None}, "depth, max_length: one of them is needed"),
        ({"kernel_size": 4}, "seq_layers.0.h0: expected shape (16, 1, 4), got (16, 1, 2)"),
        ({"n_layers": 4}, "missing .*seq_layers.3.h0"),
        ({"n_layers": 2}, "unknown .*seq_layers.2.h0"),
        ({"batchnorm": True}, "missing .*norms.0.running_mean"),
    ],
)
def test_configurations_that_do_not_fit_are_refused(changes, message):
    pattern = message if "*" in message else message.replace("(", r"\(").replace(")", r"\)")
    with pytest.raises(ValueError, match=pattern):
        load_published(LINEAR, {**published_config(NAMES[0]), **changes})


def test_files_that_are_no_checkpoint_are_refused(tmp_path):
    config = published_config(NAMES[0])
    path = tmp_path / "ckpt.pth"
    path.write_bytes(b"nonsense")
    with pytest.raises(ValueError, match="not a checkpoint that can be read without running code"):
        load_published(path, config)
    torch.save({"model": Path()}, path)  # an object, which only running code could rebuild
    with pytest.raises(ValueError, match="not a checkpoint that can be read without running code"):
        load_published(path, config)
    for content in ({"epoch": 1}, [1]):
        torch.save(content, path)
        with pytest.raises(ValueError, match="expected a checkpoint with a state dict named 'model'"):
            load_published(path, config)
    with pytest.raises(FileNotFoundError):
        load_published(tmp_path / "none.pth", config)
