"""A folder of images: pixels after the preprocessing are those of the same steps done by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgetvm.errors import DataError
from edgetvm.oracle.data import load_data
from edgetvm.oracle.float import reference_outputs
from tests.oracle.test_data import Input


def folder(
    tmp_path: Path, size: tuple[int, int] = (6, 8), labels: str | None = "file,label\nb.png,7\na.png,2\n"
) -> Path:
    path = tmp_path / "images"
    path.mkdir()
    generator = np.random.default_rng(3)
    for name in ("a.png", "b.png"):
        Image.fromarray(generator.integers(0, 256, (*size, 3), dtype=np.uint8)).save(path / name)
    if labels is not None:
        (path / "labels.csv").write_text(labels)
    return path


def toml(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "preprocess.toml"
    path.write_text(text)
    return path


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image, dtype=np.float32)


def test_crop_bgr_mean_nchw_and_labels(tmp_path: Path) -> None:
    images = folder(tmp_path)
    rule = toml(
        tmp_path, 'crop = [4, 6]\nchannels = "BGR"\nmean = [1, 2, 3]\nstd = 2\nlayout = "NCHW"\nlabel_offset = 1\n'
    )
    data = load_data(images, [Input("i", (1, 3, 4, 6))], preprocess=rule)
    assert data.labels is not None
    assert data.labels.tolist() == [8, 3]  # in the order of the table, not of the names
    by_hand = np.stack([(pixels(images / "b.png")[1:5, 1:7, 2 - c] - (1, 2, 3)[c]) / 2 for c in range(3)])
    np.testing.assert_allclose(data.fetch(0)["i"][0], by_hand, rtol=1e-6)


def test_without_labels_files_are_sorted(tmp_path: Path) -> None:
    images = folder(tmp_path, labels=None)
    data = load_data(images, [Input("i", (1, 6, 8, 3))], preprocess=toml(tmp_path, 'layout = "NHWC"'))
    assert data.labels is None
    np.testing.assert_array_equal(
        np.concatenate([s["i"] for s in data]), [pixels(images / n) for n in ("a.png", "b.png")]
    )


def test_uint8_input_and_limit(tmp_path: Path) -> None:
    images = folder(tmp_path)
    data = load_data(images, [Input("i", (1, 6, 8, 3), "uint8")], preprocess=toml(tmp_path, 'layout="NHWC"'), samples=1)
    assert len(data) == 1
    assert data.fetch(0)["i"].dtype == np.uint8
    np.testing.assert_array_equal(data.fetch(0)["i"][0], pixels(images / "b.png"))


def test_resize_of_the_shorter_side_keeps_the_ratio(tmp_path: Path) -> None:
    images = folder(tmp_path, size=(20, 40))
    data = load_data(
        images, [Input("i", (1, 10, 20, 1))], preprocess=toml(tmp_path, 'resize=10\nchannels="L"\nlayout="NHWC"')
    )
    half = data.fetch(0)["i"][0, ..., 0]
    grey = pixels(images / "b.png") @ [0.299, 0.587, 0.114]
    # Antialiased bilinear at a ratio of 2: the tent over 4 pixels, away from the border.
    taps = np.array([1, 3, 3, 1]) / 8
    rows = sum(taps[k] * grey[k + 1 : k + 17 : 2] for k in range(4))
    by_hand = sum(taps[k] * rows[:, k + 1 : k + 37 : 2] for k in range(4))
    np.testing.assert_allclose(half[1:9, 1:19], by_hand, atol=1.6)


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ('layout = "NHWC"\nsize = 3', ["unknown key 'size'"]),
        ("resize = 4", ["layout is missing", "NHWC, NCHW"]),
        ('layout = "NHWC"\nchannels = "RBG"', ["channels is 'RBG'"]),
        ('layout = "NHWC"\nmean = [1, 2]', ["mean", "one number or 3"]),
        ('layout = "NHWC"\nstd = [1, 0, 1]', ["std holds 0"]),
        ('layout = "NHWC"\nresize = -1', ["resize is -1"]),
        ('layout = "NHWC"\ncrop = [1, 2, 3]', ["crop is [1, 2, 3]"]),
        ('layout = "NHWC"\nlabel_offset = 0.5', ["label_offset is 0.5"]),
        ('layout = "NHWC', ["is not TOML"]),
        ('layout = "NHWC"\ncrop = 7', ["6 x 8 pixels", "7 x 7"]),
        ('layout = "NCHW"', ["becomes [1, 3, 6, 8]", "takes [1, 6, 8, 3]"]),
    ],
)
def test_wrong_preprocessing(tmp_path: Path, rule: str, words: list[str]) -> None:
    with pytest.raises(DataError) as info:
        load_data(folder(tmp_path), [Input("i", (1, 6, 8, 3))], preprocess=toml(tmp_path, rule))
    assert "preprocess.toml" in info.value.message or ".png" in info.value.message
    for word in words:
        assert word in info.value.message


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        ("name,class\na.png,1\n", ["line 1 is 'name,class'"]),
        ("file,label\na.png,cat\n", ["line 2 is 'a.png,cat'"]),
        ("file,label\na.png,1\nz.png,1\n", ["line 3 names z.png"]),
        ("file,label\n", ["holds no images"]),
    ],
)
def test_wrong_labels(tmp_path: Path, labels: str, words: list[str]) -> None:
    with pytest.raises(DataError) as info:
        load_data(
            folder(tmp_path, labels=labels), [Input("i", (1, 6, 8, 3))], preprocess=toml(tmp_path, 'layout="NHWC"')
        )
    for word in words:
        assert word in info.value.message


def test_a_folder_needs_a_rule_and_one_input(tmp_path: Path) -> None:
    images = folder(tmp_path)
    with pytest.raises(DataError, match="how they become numbers"):
        load_data(images, [Input("i", (1, 6, 8, 3))])
    with pytest.raises(DataError, match="2 inputs"):
        load_data(images, [Input("a", (1,)), Input("b", (1,))])
    with pytest.raises(DataError, match="no windows"):
        load_data(images, [Input("i", (1, 6, 8, 3))], window=2)


def test_a_broken_picture_is_named(tmp_path: Path) -> None:
    images = folder(tmp_path)
    (images / "b.png").write_bytes((images / "b.png").read_bytes()[:60])
    with pytest.raises(DataError, match=r"b\.png cannot be read"):
        load_data(images, [Input("i", (1, 6, 8, 3))], preprocess=toml(tmp_path, 'layout="NHWC"'))


@pytest.mark.parametrize(
    ("name", "tensor", "rule", "published"),
    [
        (
            "mobilenet_v1_025",
            Input("input", (1, 224, 224, 3)),
            'layout="NHWC"\nmean=127.5\nstd=127.5\nlabel_offset=1',
            0.550,
        ),
        ("squeezenet1_1", Input("data", (1, 3, 224, 224)), 'layout="NCHW"\nchannels="BGR"\nmean=[104,117,123]', 0.590),
    ],
)
def test_real_pictures_reach_the_published_accuracy(
    assets: Path, tmp_path: Path, name: str, tensor: Input, rule: str, published: float
) -> None:
    data = load_data(assets / "images" / "evaluation", [tensor], preprocess=toml(tmp_path, rule), samples=200)
    outputs = reference_outputs(assets / name / "model.onnx", data, threads=2)
    assert data.labels is not None
    hits = [next(iter(o.values())).argmax() == label for o, label in zip(outputs, data.labels, strict=True)]
    # 200 of 500 pictures: three standard deviations of a share of .55 are .105; a wrong channel
    # order or offset is much further away.
    assert abs(np.mean(hits) - published) < 0.105
