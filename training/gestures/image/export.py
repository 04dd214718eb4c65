"""Export of GestureNet as ONNX in FP32, FP16 and INT8 (Q/DQ), with sizes, times and accuracy."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import onnx
import onnxruntime as ort
import torch
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process
from onnxruntime.transformers.float16 import convert_float_to_float16
from torch import Tensor, nn
from torch.nn import functional

from training.gestures.card import renew_sum
from training.gestures.hands.crops import STORED, Pictures
from training.gestures.image.resnet import LOOKS_AT, GestureNet, prepared
from training.gestures.judging import fit_temperature, scores

SIDE = 160
WORTH = 0.01  # macro-F1 that INT8 may cost
LEAST = 9  # minimum images of a class in a source for a figure
MARGIN = 0.85  # side of the crop / side of the hand box of our detectors (an open hand fills 0.7 of it)


class Deployed(nn.Module):
    """Network with 160 px input, softmax and temperature; also outputs the embedding for taught gestures."""

    def __init__(self, model: GestureNet, temperature: float) -> None:
        super().__init__()
        self.model, self.temperature = model, temperature

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return probabilities and embedding."""
        small = functional.interpolate(x, size=(LOOKS_AT, LOOKS_AT), mode="bilinear", align_corners=False)
        embedding = self.model.embed(small)
        return torch.softmax(self.model.last(embedding) / self.temperature, 1), embedding


def cut(pictures: Pictures, rows: np.ndarray, margin: float = MARGIN) -> Iterator[np.ndarray]:
    """Cut inputs (64, 3, 160, 160) as the agent does: upright, `margin` of the hand box."""
    edge = round(STORED / 1.6 * margin / 2)
    middle = STORED // 2
    for i in range(0, len(rows), 64):
        part = [
            pictures.images[j][middle - edge : middle + edge, middle - edge : middle + edge]
            for j in rows[i : i + 64]
        ]
        yield prepared(np.stack([cv2.resize(p, (SIDE, SIDE)) for p in part])).contiguous().numpy()


def to_onnx(model: GestureNet, temperature: float, target: Path) -> None:
    """Export FP32 with a dynamic batch."""
    names = ["activation_18", "embedding"]
    torch.onnx.export(
        Deployed(model, temperature).eval(), (torch.zeros(2, 3, SIDE, SIDE),), str(target), dynamo=False,
        input_names=["input_1"], output_names=names, opset_version=17,
        dynamic_axes={name: {0: "N"} for name in ("input_1", *names)},
    )  # fmt: skip


def to_fp16(source: Path, target: Path) -> None:
    """Convert to FP16 inside, float32 outside."""
    onnx.save(convert_float_to_float16(onnx.load(str(source)), keep_io_types=True), str(target))


class _Calibration(CalibrationDataReader):
    def __init__(self, batches: Iterator[np.ndarray]) -> None:
        self._batches = batches

    def get_next(self) -> dict[str, np.ndarray] | None:
        """Return one batch, None at the end."""
        batch = next(self._batches, None)
        return None if batch is None else {"input_1": batch}


def to_int8(source: Path, target: Path, pictures: Pictures, rows: np.ndarray) -> None:
    """Insert Q/DQ nodes around convolutions, for TensorRT and CPU."""
    with tempfile.TemporaryDirectory() as folder:
        ready = Path(folder) / "ready.onnx"
        quant_pre_process(str(source), str(ready), skip_symbolic_shape=True)
        quantize_static(
            str(ready), str(target), _Calibration(cut(pictures, rows)), quant_format=QuantFormat.QDQ,
            activation_type=QuantType.QInt8, weight_type=QuantType.QInt8, per_channel=True,
            op_types_to_quantize=["Conv", "Add", "MaxPool"],
        )  # fmt: skip


def answers(model: Path, pictures: Pictures, rows: np.ndarray, margin: float = MARGIN) -> np.ndarray:
    """Return probabilities (N, 6) from an ONNX file."""
    session = ort.InferenceSession(str(model), providers=["CPUExecutionProvider"])
    return np.concatenate(
        [session.run(["activation_18"], {"input_1": x})[0] for x in cut(pictures, rows, margin)]
    )


def milliseconds(model: Path, threads: int, runs: int = 60) -> float:
    """Return the median time for one image in milliseconds."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = ort.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    x = {"input_1": np.zeros((1, 3, SIDE, SIDE), np.float32)}
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        session.run(None, x)
        times.append(time.perf_counter() - start)
    return float(np.median(times) * 1e3)


def write(model: GestureNet, pictures: Pictures, held: tuple[str, ...], engine: Path, work: Path) -> None:
    """Calibrate on the held-out sources, export all three, and print and store size, time and accuracy."""
    seen = np.nonzero((pictures.label >= 0) & ~pictures.free & ~np.isin(pictures.source, held))[0]
    unseen = np.nonzero((pictures.label >= 0) & np.isin(pictures.source, held))[0]
    engine.mkdir(exist_ok=True)
    fp32 = work / "gesturenet.onnx"  # not stored: redundant
    fp16, int8 = engine / "gesturenet_fp16.onnx", engine / "gesturenet_int8.onnx"
    to_onnx(model, 1.0, fp32)
    plain = answers(fp32, pictures, unseen)
    temperature = fit_temperature(plain, pictures.label[unseen])
    np.savez(
        work / "gesturenet-held-out.npz",
        truth=pictures.label[unseen],
        guess=plain,
        source=pictures.source[unseen],
    )
    to_onnx(model, temperature, fp32)
    to_fp16(fp32, fp16)
    rng = np.random.default_rng(0)
    to_int8(fp32, int8, pictures, rng.choice(seen, 256, replace=False))
    table = {"temperature": temperature}
    for path in (fp32, fp16, int8):
        row = {"bytes": path.stat().st_size, "ms": [milliseconds(path, 1), milliseconds(path, 2)]}
        for source in held:
            part = unseen[pictures.source[unseen] == source]
            row[source] = scores(pictures.label[part], answers(path, pictures, part).argmax(1), LEAST)
        table[path.name] = row
        print(path.name, row)
    (work / "gesturenet.json").write_text(json.dumps(table, indent=1))
    lost = max(table[fp32.name][s]["macro_f1"] - table[int8.name][s]["macro_f1"] for s in held)
    won_ms = min(table[fp16.name]["ms"]) - min(table[int8.name]["ms"])
    if lost > WORTH or won_ms <= 0:
        print(f"{int8.name} loses {lost:.3f} and wins {won_ms:.1f} ms: not kept")
        int8.unlink()
    renew_sum(engine / "manifest.toml", fp16)  # the file that the manifest names
