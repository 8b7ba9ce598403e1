"""Train the demo model on scikit-learn's handwritten digits and write demo/.

Writes digits.onnx, calibration.npz (from the training split) and evaluation.npz (held out).
Needs the extra [train]; run it in a virtual environment of its own: torch is large.
"""

from __future__ import annotations

import argparse
import io
import sys
from collections import OrderedDict
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn

SEED = 20
EPOCHS = 60
BATCH = 32
CALIBRATION_SAMPLES = 100
PIXEL_MAX = 16.0  # the data set counts ink in 0..16
LEAST_ACCURACY = 0.97
MOST_BYTES = 100_000


def block(inputs: int, outputs: int, *, groups: int = 1, kernel: int = 3) -> nn.Sequential:
    return nn.Sequential(
        OrderedDict(
            convolution=nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, groups=groups, bias=False),
            normalization=nn.BatchNorm2d(outputs),
            activation=nn.ReLU(),
        )
    )


def build() -> nn.Sequential:
    """A little of everything that small vision models hold: 8 x 8 pixels to 10 class scores."""
    return nn.Sequential(
        OrderedDict(
            stem=block(1, 16),
            depthwise1=block(16, 16, groups=16),
            pointwise1=block(16, 32, kernel=1),
            pool=nn.MaxPool2d(2),
            depthwise2=block(32, 32, groups=32),
            pointwise2=block(32, 48, kernel=1),
            average=nn.AdaptiveAvgPool2d(1),
            flatten=nn.Flatten(),
            dense=nn.Linear(48, 10),
        )
    )


def shifted(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """The batch moved by up to one pixel each way: more digits than the data set has."""
    dy, dx = (int(v) for v in torch.randint(-1, 2, (2,), generator=generator))
    padded = nn.functional.pad(images, (1, 1, 1, 1))
    return padded[:, :, 1 + dy : 9 + dy, 1 + dx : 9 + dx]


def train(model: nn.Sequential, images: torch.Tensor, labels: torch.Tensor) -> None:
    generator = torch.Generator().manual_seed(SEED)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=1e-2)
    steps = EPOCHS * -(-len(images) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=1e-2, total_steps=steps)
    model.train()
    for _ in range(EPOCHS):
        for batch in torch.randperm(len(images), generator=generator).split(BATCH):
            scores = model(shifted(images[batch], generator))
            loss = nn.functional.cross_entropy(scores, labels[batch], label_smoothing=0.05)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
    model.eval()


def to_onnx(model: nn.Sequential) -> onnx.ModelProto:
    """The trained model with its softmax as ONNX, without the traces of the machine that wrote it."""
    whole = nn.Sequential(OrderedDict(model.named_children(), softmax=nn.Softmax(dim=1))).eval()
    file = io.BytesIO()
    program = torch.onnx.export(
        whole, (torch.zeros(1, 1, 8, 8),), input_names=["image"], output_names=["probabilities"], opset_version=18
    )
    assert program is not None
    program.save(file)
    exported = onnx.load_from_string(file.getvalue())
    graph = exported.graph
    del exported.metadata_props[:], exported.functions[:], graph.metadata_props[:], graph.value_info[:]
    graph.name = "digits"
    for node in graph.node:
        del node.metadata_props[:]
        node.doc_string = ""
    for value in [*graph.input, *graph.output]:
        del value.metadata_props[:]
    onnx.checker.check_model(exported, full_check=True)
    return exported


def accuracy(model: bytes, images: np.ndarray, labels: np.ndarray) -> float:
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    scores = [session.run(None, {"image": image[None]})[0] for image in images]
    return float(np.mean(np.argmax(np.concatenate(scores), axis=1) == labels))


def save(path: Path, pixels: np.ndarray, labels: np.ndarray) -> None:
    scale = np.float32(1 / PIXEL_MAX)
    np.savez_compressed(path, x=pixels.astype(np.uint8), scale=scale, offset=np.float32(0), y=labels.astype(np.int64))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=Path(__file__).resolve().parent.parent / "demo")
    folder: Path = parser.parse_args().output
    torch.manual_seed(SEED)
    torch.use_deterministic_algorithms(True)

    digits = load_digits()
    train_x, test_x, train_y, test_y = train_test_split(
        digits.images[:, None], digits.target, test_size=360, random_state=SEED, stratify=digits.target
    )

    model = build()
    train(model, torch.tensor(train_x / PIXEL_MAX, dtype=torch.float32), torch.tensor(train_y))
    data = to_onnx(model).SerializeToString()
    reached = accuracy(data, (test_x / PIXEL_MAX).astype(np.float32), test_y)
    print(f"{len(data)} bytes, held-out accuracy {reached:.4f} over {len(test_y)} digits")
    if reached < LEAST_ACCURACY or len(data) > MOST_BYTES:
        print(f"not written: wanted {LEAST_ACCURACY} and at most {MOST_BYTES} bytes", file=sys.stderr)
        return 1

    folder.mkdir(parents=True, exist_ok=True)
    (folder / "digits.onnx").write_bytes(data)
    save(folder / "calibration.npz", train_x[:CALIBRATION_SAMPLES], train_y[:CALIBRATION_SAMPLES])
    save(folder / "evaluation.npz", test_x, test_y)
    return 0


if __name__ == "__main__":
    sys.exit(main())
