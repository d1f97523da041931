"""A checkpoint's own tokenizer, from the files beside its weights and by none of their code."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from gguf_files import write_gguf
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from headalgebra.checkpoints import (
    CheckpointError,
    initialise,
    load_tokenizer,
    open_checkpoint,
    open_folder,
)

WORDS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "a", "text", "of", "some", "length", "##s")


@pytest.fixture
def bert(shared_model: Callable, tmp_path: Path) -> Path:
    """The folder of a BERT, without a tokenizer."""
    return Path(shutil.copytree(shared_model("bert").folder, tmp_path / "bert"))


def write_tokenizer(folder: Path) -> None:
    """As the `tokenizers` library writes one."""
    vocabulary = {word: number for number, word in enumerate(WORDS)}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    tokenizer.enable_truncation(5)
    tokenizer.save(str(folder / "tokenizer.json"))


def refusal(source: Any) -> str:
    with pytest.raises(CheckpointError) as refused:
        load_tokenizer(source if hasattr(source, "origin") else open_folder(source))
    assert "\n" not in str(refused.value)
    return str(refused.value)


def test_tokenizer_json_is_read(bert: Path) -> None:
    write_tokenizer(bert)
    opened = open_folder(bert)
    assert load_tokenizer(opened)("a text of some")["input_ids"] == [2, 4, 5, 6, 7, 3]
    assert "tokenizer.json" in opened.files
    assert opened.hashed["tokenizer.json"] == "whole"


def test_vocab_txt_is_read(bert: Path) -> None:
    (bert / "vocab.txt").write_text("\n".join(WORDS) + "\n")
    assert load_tokenizer(open_folder(bert))("a texts")["input_ids"] == [2, 4, 5, 9, 3]


def test_none_is_refused(bert: Path) -> None:
    assert "no tokenizer: none of tokenizer.json, vocab.txt" in refusal(bert)


def test_what_is_no_tokenizer_is_refused(bert: Path) -> None:
    (bert / "tokenizer.json").write_text("cached for something else")
    assert "its tokenizer is not read" in refusal(bert)


def test_one_that_knows_nothing_is_refused(bert: Path) -> None:
    (bert / "vocab.txt").write_text("")
    assert "no tokens but special ones" in refusal(bert)


def test_no_code_of_a_checkpoint_is_run(bert: Path) -> None:
    """Not even where the configuration asks for it, and there is nothing else."""
    write_tokenizer(bert)
    (bert / "own.py").write_text("raise SystemExit('ran')")
    asked = {"auto_map": {"AutoTokenizer": ["own.Own", "own.Own"]}, "tokenizer_class": "Own"}
    (bert / "tokenizer_config.json").write_text(json.dumps(asked))
    try:
        load_tokenizer(open_folder(bert))
    except CheckpointError as error:
        assert "its tokenizer is not read" in str(error)


def test_an_initialisation_has_none() -> None:
    config = {"model_type": "gpt2", "n_embd": 12, "n_head": 3, "n_layer": 2}
    assert "by tokenizer: <model>" in refusal(initialise(config, seed=0))


def test_a_gguf_file_has_its_own(shared_model: Callable, tmp_path: Path) -> None:
    """Whatever lies beside it."""
    write_tokenizer(tmp_path)
    model = shared_model("gpt2", head=True, dtype=torch.float32)
    tokens = ["a", "b", "c", "Ġ", "ab", "Ġa", "Ġab", *(f"<{n}>" for n in range(7, 16))]
    values = {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.merges": ["a b", "Ġ a", "Ġ ab"],
        "tokenizer.ggml.bos_token_id": 15,
        "tokenizer.ggml.eos_token_id": 15,
        "tokenizer.ggml.unknown_token_id": 14,
        "tokenizer.ggml.padding_token_id": 13,
    }
    (path,) = write_gguf(tmp_path / "x.gguf", "gpt2", model, values=values)
    tokenizer = load_tokenizer(open_checkpoint(path))
    assert tokenizer("ab cab", add_special_tokens=False)["input_ids"] == [4, 3, 2, 4]


def test_a_tokenizer_that_panics_is_refused(shared_model: Callable, tmp_path: Path) -> None:
    """Its template names a token that it does not have; the library panics at the first text."""
    folder = Path(shutil.copytree(shared_model("gpt2").folder, tmp_path / "gpt2"))
    write_tokenizer(folder)
    path = folder / "tokenizer.json"
    content = json.loads(path.read_text())
    del content["post_processor"]["special_tokens"]["[CLS]"]
    path.write_text(json.dumps(content))
    assert "its tokenizer is not read: no entry found for key" in refusal(folder)
