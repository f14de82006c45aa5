"""What TensorBoard's files say is read back as it was written: newest point of a step, buckets, gradients."""

from pathlib import Path

import numpy as np
import pytest
from torch.utils.tensorboard import SummaryWriter

from ml import event_files
from ml.event_files import EventFiles, answer
from strategies.errors import DataError


def write(folder: Path, scalars: dict[str, dict[int, float]], purge_step: int | None = None) -> None:
    writer = SummaryWriter(str(folder), purge_step=purge_step)
    for tag, points in scalars.items():
        for step, value in points.items():
            writer.add_scalar(tag, value, step)
    writer.close()


def read(folder: Path) -> EventFiles:
    events = EventFiles(folder)
    events.reload()
    return events


def test_curves_are_read_back_by_tag_and_step(tmp_path: Path) -> None:
    write(tmp_path, {"train/loss": {10: 0.5, 20: 0.25}, "train/entropy": {10: float("nan")}})

    events = read(tmp_path)

    assert answer(events, {"question": "tags"}) == {
        "scalars": ["train/entropy", "train/loss"],
        "histograms": [],
    }
    found = answer(events, {"question": "scalars", "tags": ["train/loss", "train/entropy"]})["tags"]
    assert [(point["step"], point["value"]) for point in found["train/loss"]] == [(10, 0.5), (20, 0.25)]
    assert [point["value"] for point in found["train/entropy"]] == [None]
    assert found["train/loss"][0]["wall_time"] > 1.7e9


def test_what_a_cut_off_training_wrote_after_its_checkpoint_is_left_out(tmp_path: Path) -> None:
    write(tmp_path, {"loss": {10: 1.0, 20: 2.0, 30: 3.0}})
    write(tmp_path, {"loss": {20: 20.0}}, purge_step=20)

    points = read(tmp_path).scalars(["loss"])["loss"]

    assert [(point["step"], point["value"]) for point in points] == [(10, 1.0), (20, 20.0)]


def test_curve_that_grows_is_read_on(tmp_path: Path) -> None:
    write(tmp_path, {"loss": {1: 1.0}})
    events = read(tmp_path)
    write(tmp_path, {"loss": {2: 2.0}})

    events.reload()

    assert [point["step"] for point in events.scalars(["loss"])["loss"]] == [1, 2]


def test_long_curve_is_bounded_and_keeps_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_files, "MOST_POINTS", 10)
    write(tmp_path, {"loss": {step: float(step) for step in range(50)}})

    points = read(tmp_path).scalars(["loss"])["loss"]

    assert len(points) == 10
    assert points[-1]["value"] == 49.0


def test_gradients_are_a_matrix_of_layers_by_steps(tmp_path: Path) -> None:
    write(tmp_path, {"gradient_norm/a": {1: 0.5, 2: 0.25}, "gradient_norm/b": {2: 2.0}, "loss": {1: 9.0}})

    assert answer(read(tmp_path), {"question": "gradients"}) == {
        "layers": ["a", "b"],
        "steps": [1, 2],
        "values": [[0.5, 0.25], [None, 2.0]],
    }


def test_histogram_counts_every_value_within_its_buckets(tmp_path: Path) -> None:
    writer = SummaryWriter(str(tmp_path))
    values = np.array([-1.0, 0.0, 0.0, 0.5, 2.0])
    writer.add_histogram("weights/a", values, 7)
    writer.close()

    (found,) = answer(read(tmp_path), {"question": "histograms", "tag": "weights/a"})["histograms"]

    assert found["step"] == 7
    assert sum(count for _, _, count in found["buckets"]) == 5
    assert (found["buckets"][0][0], found["buckets"][-1][1]) == (-1.0, 2.0)
    for left, right, count in found["buckets"]:
        assert ((left <= values) & (values <= right)).sum() >= count


@pytest.mark.parametrize(
    "question", [{"question": "scalars", "tags": ["nope"]}, {"question": "histograms", "tag": "loss"}]
)
def test_tag_that_is_not_there_is_refused(tmp_path: Path, question: dict[str, object]) -> None:
    write(tmp_path, {"loss": {1: 1.0}})

    with pytest.raises(DataError, match="expected one of the"):
        answer(read(tmp_path), question)
