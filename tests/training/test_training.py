"""A training is the same bytes every time, killed or not, and what it writes down is so."""

import json
import pickle
import shutil
from collections.abc import Callable, Collection
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import small_trainings
import torch
from safetensors.torch import load_file
from small_trainings import RECIPE, contents, gpt2, killed, llama, trained
from torch import Tensor
from transformers import AutoModelForCausalLM, PreTrainedModel, set_seed

import headalgebra
from headalgebra.checkpoints import load_tokenizer
from headalgebra.training import Trained, TrainingTokens, ngram_floors, read_trained

# In one process, so that what its fixtures make is made once.
pytestmark = pytest.mark.xdist_group("training")

STEPS = (0, 1, 3, 8, 22, 60)


@pytest.fixture(scope="session")
def whole(tokens: TrainingTokens, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    return trained(tokens, tmp_path_factory.mktemp("whole"))


def metrics(of: Trained) -> pd.DataFrame:
    return pd.read_parquet(of.folder / "metrics.parquet")


def weights(of: Trained, step: int) -> dict[str, Tensor]:
    return load_file(of.folder / str(step) / "model.safetensors")


def test_two_trainings_are_the_same_bytes(
    tokens: TrainingTokens, whole: Trained, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Without a word."""
    again = trained(tokens, tmp_path)
    assert capfd.readouterr() == ("", "")
    assert contents(tmp_path) == contents(whole.folder)
    assert again == replace(whole, folder=tmp_path)


def test_another_seed_is_another_draw_and_another_order(
    tokens: TrainingTokens, whole: Trained, tmp_path: Path
) -> None:
    short = replace(RECIPE, steps=20, checkpoints=1)
    one = trained(tokens, tmp_path / "one", recipe=short)
    other = trained(tokens, tmp_path / "other", recipe=short, seed=1)
    name = "transformer.h.0.attn.c_attn.weight"
    assert not torch.equal(weights(one, 0)[name], weights(other, 0)[name])
    assert torch.equal(weights(one, 0)[name], weights(whole, 0)[name])
    # From one initialisation, too.
    start = gpt2()
    build = lambda: pickle.loads(pickle.dumps(start))  # noqa: E731
    one = trained(tokens, tmp_path / "same", recipe=short, build=build)
    other = trained(tokens, tmp_path / "reordered", recipe=short, build=build, seed=1)
    assert torch.equal(weights(one, 0)[name], weights(other, 0)[name])
    assert not torch.equal(weights(one, 20)[name], weights(other, 20)[name])


def test_every_time_through_the_sequences_is_in_an_order_of_its_own(
    tokens: TrainingTokens, tmp_path: Path
) -> None:
    """Each is read once a time; the seed and the number of the time make the order."""
    assert len(tokens.train.unique(dim=0)) == 80

    def orders(seed: int, name: str) -> list[list[Tensor]]:
        read: list[Tensor] = []

        def build() -> PreTrainedModel:
            model = gpt2()

            def keep(module: torch.nn.Module, _: tuple[()], given: dict[str, Tensor]) -> None:
                read.extend(given["input_ids"] if module.training else ())

            model.register_forward_pre_hook(keep, with_kwargs=True)
            return model

        trained(tokens, tmp_path / name, build=build, seed=seed)
        places = [[*map(bytes, it.numpy())] for it in (tokens.train, torch.stack(read))]
        where = {row: place for place, row in enumerate(places[0])}
        return [[where[row] for row in places[1][at : at + 80]] for at in (0, 80, 160)]

    found = orders(0, "one")
    for order in found:
        assert sorted(order) == [*range(80)]
    other = orders(1, "other")
    for one, another in combinations([*found, other[2]], 2):
        # Of two independent orders, 80 places have 1 in common on average.
        assert sum(a == b for a, b in zip(one, another, strict=True)) < 10
    assert orders(0, "again") == found
    assert other[:2] == found[1:]


@pytest.mark.parametrize("calls", [29, 1])
def test_a_killed_training_goes_on_to_the_same_bytes(
    tokens: TrainingTokens, whole: Trained, tmp_path: Path, calls: int
) -> None:
    """Killed by signal 9 in the middle of a step, in a process of its own."""
    folder = tmp_path / "run"
    killed(calls, tokens, folder)
    resumable = folder / "resumable"
    states = ["checkpoint-27"] if calls == 29 else []
    assert [it.name for it in resumable.glob("checkpoint-*")] == states
    assert not (folder / "result.json").exists()
    rows = (resumable / "rows.jsonl").read_text().splitlines()
    assert len(rows) == calls + 1
    # A kill may also leave half a state, half a row and half a checkpoint.
    (resumable / "checkpoint-30").mkdir()
    (resumable / "checkpoint-30/trainer_state.json").write_text('{"global_step": 3')
    with (resumable / "rows.jsonl").open("a") as file:
        file.write(rows[-1][:20])
    for name in ("60", ".60.partial"):
        (folder / name).mkdir()
    assert trained(tokens, folder) == replace(whole, folder=folder)
    assert contents(folder) == contents(whole.folder)


def test_what_has_ended_is_not_trained_again(tokens: TrainingTokens, whole: Trained) -> None:
    def build() -> PreTrainedModel:
        model = gpt2()
        model.register_forward_pre_hook(lambda *_: pytest.fail("the model is called"))
        return model

    before = contents(whole.folder)
    assert trained(tokens, whole.folder, build=build) == whole
    assert read_trained(whole.folder) == whole
    assert whole.tokens == tokens.digest
    assert contents(whole.folder) == before


def test_what_has_not_ended_is_not_read(whole: Trained, tmp_path: Path) -> None:
    shutil.copytree(whole.folder, tmp_path / "copy")
    (tmp_path / "copy/result.json").unlink()
    with pytest.raises(ValueError, match="copy: no training has ended there"):
        read_trained(tmp_path / "copy")


def test_a_folder_of_another_training_is_refused(tokens: TrainingTokens, whole: Trained) -> None:
    before = contents(whole.folder)
    for named, given in (
        ("seed, model", {"seed": 1}),
        ("learning_rate", {"recipe": replace(RECIPE, learning_rate=1e-3)}),
        ("model", {"build": llama}),
        ("penalty", {"penalty": lambda model, _: model.lm_head.weight.square().sum()}),
        ("undecayed", {"undecayed": lambda model: ["transformer.wte.weight"]}),
    ):
        with pytest.raises(ValueError, match=f"another {named}; name another folder"):
            trained(tokens, whole.folder, **given)
    cut = replace(tokens, train=tokens.train[:40])
    with pytest.raises(ValueError, match="another tokens"):
        trained(cut, whole.folder)
    assert contents(whole.folder) == before


def test_checkpoints_are_ordinary_folders(tokens: TrainingTokens, whole: Trained) -> None:
    """Of the initialisation first, and of what the losses were taken of."""
    assert whole.checkpoints == STEPS
    assert {it.name for it in whole.folder.iterdir()} == {
        *map(str, STEPS),
        *("metrics.parquet", "result.json", "settings.json"),
    }
    set_seed(0)
    initial = gpt2()
    for name, value in initial.state_dict().items():
        if name != "lm_head.weight":  # tied
            assert torch.equal(weights(whole, 0)[name], value), name
    found = metrics(whole).set_index("step")
    for step in STEPS:
        model = AutoModelForCausalLM.from_pretrained(whole.folder / str(step)).eval()
        with torch.no_grad():
            loss = float(model(input_ids=tokens.validation, labels=tokens.validation).loss)
            tested = float(model(input_ids=tokens.test, labels=tokens.test).loss)
        # A mean of a few hundred numbers in float32, in another order.
        assert found.loc[step, "validation_loss"] == pytest.approx(loss, rel=1e-5)
    assert whole.test_loss == pytest.approx(tested, rel=1e-5)
    assert whole.test_loss < found.loc[0, "validation_loss"] - 1
    assert whole.floors == ngram_floors(tokens.train, tokens.test, 280)
    assert whole.validation_floors == ngram_floors(tokens.train, tokens.validation, 280)
    assert whole.diverged is None


def test_a_checkpoint_is_measured_and_read_as_any_other(
    tokens: TrainingTokens, whole: Trained
) -> None:
    last = whole.folder / "60"
    layers = headalgebra.measure(last, nulls=0, probes=4)
    assert [*layers["layer"]] == [0, 1]
    assert (layers["epsilon"] > 0).all()
    tokenizer = load_tokenizer(headalgebra.open(last))
    text = "alra bemi cors.\n dura"
    assert tokenizer(text)["input_ids"] == tokens.tokenizer(text)["input_ids"]
    assert tokenizer.decode(tokenizer(text)["input_ids"]) == text


def test_metrics_have_a_row_for_each_step(whole: Trained) -> None:
    found = metrics(whole)
    assert [*found["step"]] == [*range(61)]
    assert [*found["tokens"]] == [64 * step for step in range(61)]
    assert {*found["step"][found["validation_loss"].notna()]} == {*STEPS, 25, 50}
    later = found.iloc[1:]
    assert later["train_loss"].notna().all()
    assert found["penalty"].isna().all()
    assert later["train_loss"].iloc[-10:].mean() < later["train_loss"].iloc[:5].mean() - 1
    rate, warm = later["learning_rate"].to_numpy(), 3
    assert rate[:4] == pytest.approx([0, 1e-3, 2e-3, 3e-3])
    turn = (np.arange(1, 61) - 1 - warm) / (60 - warm)
    cosine = 3e-3 * (0.1 + 0.9 * (1 + np.cos(np.pi * turn)) / 2)
    assert rate[3:] == pytest.approx(cosine[3:])
    gradients = later.filter(like="gradient_")
    assert [*gradients] == [
        f"gradient_{kind}_{n}" for kind in ("query_key", "block") for n in (0, 1)
    ]
    assert (gradients > 0).all(axis=None)
    result = json.loads((whole.folder / "result.json").read_text())
    assert result["floors"]["bigram"] == whole.floors.bigram


def one_step(tokens: TrainingTokens, folder: Path, **given: object) -> Trained:
    """A step on four sequences, in whatever order."""
    few = replace(tokens, train=tokens.train[:4])
    recipe = replace(RECIPE, steps=1, checkpoints=1, warm_up=0.0, **given.pop("recipe", {}))
    return trained(few, folder, recipe=recipe, **given)


def queries_and_keys(block: torch.nn.Module) -> Tensor:
    """The gradients of both as one vector."""
    if hasattr(block, "attn"):
        return block.attn.c_attn.weight.grad[:, :32].flatten()
    attention = block.self_attn
    return torch.cat([it.weight.grad.flatten() for it in (attention.q_proj, attention.k_proj)])


def penalised(model: PreTrainedModel, _: int) -> Tensor:
    return 30 * sum(weight.square().sum() for weight in model.base_model.parameters())


@pytest.mark.parametrize("build", [gpt2, llama])
@pytest.mark.parametrize("penalty", [None, penalised])
def test_gradients_are_those_before_clipping(
    tokens: TrainingTokens,
    tmp_path: Path,
    build: Callable[[], PreTrainedModel],
    penalty: Callable[[PreTrainedModel, int], Tensor] | None,
) -> None:
    """And of the loss with its penalty, which is written down apart."""
    set_seed(0)
    model = build()
    loss = model(input_ids=tokens.train[:4], labels=tokens.train[:4]).loss
    added = penalty(model, 0) if penalty else torch.zeros(())
    (loss + added).backward()
    clip = 1e-3
    row = metrics(
        one_step(tokens, tmp_path, build=build, penalty=penalty, recipe={"clip": clip})
    ).iloc[1]
    # Four sequences in another order, in float32.
    assert row["train_loss"] == pytest.approx(loss.item(), rel=1e-5)
    assert (row["penalty"] == pytest.approx(added.item(), rel=1e-5)) == (penalty is not None)
    blocks = model.base_model.h if build is gpt2 else model.base_model.layers
    for layer, block in enumerate(blocks):
        by_hand = torch.cat([it.grad.flatten() for it in block.parameters()]).norm()
        assert row[f"gradient_block_{layer}"] == pytest.approx(float(by_hand), rel=1e-4)
        assert by_hand > 10 * clip
        by_hand = queries_and_keys(block).norm()
        assert row[f"gradient_query_key_{layer}"] == pytest.approx(float(by_hand), rel=1e-4)


def test_a_name_without_decay_does_not_decay(tokens: TrainingTokens, tmp_path: Path) -> None:
    """Decay takes the learning rate times the decay times the weight, beside Adam's step."""
    name = "transformer.h.1.attn.c_attn.weight"
    names: Collection[str] = [name]
    decayed = one_step(tokens, tmp_path / "decayed")
    spared = one_step(tokens, tmp_path / "spared", undecayed=lambda model: names)
    start, one, other = weights(decayed, 0), weights(decayed, 1), weights(spared, 1)
    unit = torch.finfo(torch.float32).eps
    assert other[name] - one[name] == pytest.approx(
        (3e-3 * 0.1 * start[name]).numpy(), abs=4 * unit * float(start[name].abs().max())
    )
    assert all(torch.equal(one[it], other[it]) for it in one if it != name)
    with pytest.raises(ValueError, match="undecayed: the model has no parameter h0"):
        one_step(tokens, tmp_path / "wrong", undecayed=lambda model: ["h0"])


def test_divergence_ends_a_training_and_keeps_what_is_whole(
    tokens: TrainingTokens, tmp_path: Path
) -> None:
    poisoned = replace(RECIPE, learning_rate=1e37, checkpoints=30)
    found = trained(tokens, tmp_path, recipe=poisoned)
    # The first update has the learning rate 0.
    assert found.diverged is not None and 2 < found.diverged < 10
    assert found.test_loss is None
    rows = metrics(found)
    assert [*rows["step"]] == [*range(found.diverged + 1)]
    numbers = rows[["train_loss", *rows.filter(like="gradient_")]]
    assert not np.isfinite(numbers.iloc[-1]).all()
    assert np.isfinite(numbers.iloc[1:-1]).all(axis=None)
    assert {0, 1} <= {*found.checkpoints} <= {*range(found.diverged)}
    for step in found.checkpoints:
        assert all(it.isfinite().all() for it in weights(found, step).values())
    assert {it.name for it in tmp_path.iterdir() if it.is_dir()} == {*map(str, found.checkpoints)}
    assert trained(tokens, tmp_path, recipe=poisoned) == found


def test_a_last_step_that_diverges_is_said(tokens: TrainingTokens, tmp_path: Path) -> None:
    found = one_step(tokens, tmp_path, recipe={"learning_rate": float("inf")})
    assert (found.diverged, found.test_loss, found.checkpoints) == (1, None, (0,))


def test_what_does_not_fit_is_refused_before_training(
    tokens: TrainingTokens, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(message: str, read: TrainingTokens = tokens, **given: object) -> None:
        with pytest.raises(ValueError, match=message) as refused:
            trained(read, tmp_path, **given)
        assert "\n" not in str(refused.value)

    refuse("79 training sequences make no whole", replace(tokens, train=tokens.train[1:]))
    refuse("0 training sequences make no whole", replace(tokens, train=tokens.train[:0]))
    refuse("19 steps of 4 sequences read 76, and there are 80", recipe=replace(RECIPE, steps=19))
    for vocabulary, positions, message in (
        (279, 16, "the model knows 279 tokens, and the tokenizer makes 280"),
        (280, 15, "the model takes 15 tokens at once, and the sequences have 16"),
    ):
        config = small_trainings.SIZE.gpt2(vocabulary, positions)
        refuse(message, build=lambda config=config: type(gpt2())(config))
    monkeypatch.setenv("WORLD_SIZE", "3")
    refuse("4 sequences do not share out to 3 processes")
    assert not [*tmp_path.iterdir()]
