"""`graphmatch import-checkpoint`."""

from __future__ import annotations

import json
import subprocess
import sys
import time

import pytest
import torch

from graphmatch.checkpoint import load_checkpoint
from graphmatch.vocab import Vocabulary
from tests.official_files import (
    golden,
    gsmn_content,
    hgr_content,
    imram_content,
    model_json,
    scan_content,
    write,
)


@pytest.fixture
def scan_vocabulary(tmp_path):
    """Words as SCAN, GSMN and IMRAM keep them."""
    words = ["<pad>", "<start>", "<end>", "<unk>", *(f"w{n}" for n in range(36))]
    ids = {word: number for number, word in enumerate(words)}
    content = {"word2idx": ids, "idx2word": {str(n): w for w, n in ids.items()}, "idx": 40}
    path = tmp_path / "f30k_precomp_vocab.json"
    path.write_text(json.dumps(content))
    return path


@pytest.fixture
def hgr_vocabulary(tmp_path):
    path = tmp_path / "word2int.json"
    words = ["<BOS>", "<EOS>", "<UNK>", *(f"w{n}" for n in range(47))]
    path.write_text(json.dumps({word: number for number, word in enumerate(words)}))
    return path


@pytest.mark.parametrize(
    ("name", "case", "content"),
    [
        ("scan", "scan_i2t_lse", scan_content),
        ("gsmn", "gsmn_sparse_small", gsmn_content),
        ("imram", "imram_full_k3", imram_content),
    ],
)
def test_the_scan_family(run, tmp_path, scan_vocabulary, name, case, content):
    file = write(tmp_path, content(*golden(name, case)), "sequence")
    out = tmp_path / "out"
    code, text, err = run("import-checkpoint", name, file, "--vocab", scan_vocabulary, "--out", out)
    assert code == 0, err
    assert text.startswith(f"{name}: ")
    assert "best rsum in validation: 446.25" in text
    assert text.endswith(f"{out}: 40 words\n")
    model, vocabulary = load_checkpoint(out)
    assert type(model).__name__.lower() == name
    assert vocabulary == Vocabulary.load(scan_vocabulary)
    assert vocabulary.unknown == "<unk>"


@pytest.mark.parametrize(
    ("name", "case", "kind"),
    [("hgr", "hgr_sim_lstm_2layer", "HGR"), ("global-match", "globalmatch_a", "GlobalMatch")],
)
def test_hgr(run, tmp_path, hgr_vocabulary, name, case, kind):
    config, tensors = golden("hgr", case)
    file = write(tmp_path, hgr_content(tensors))
    arguments = ("import-checkpoint", name, file, "--vocab", hgr_vocabulary)
    code, text, err = run(
        *arguments, "--out", tmp_path / "a", "--config", model_json(tmp_path, config)
    )
    assert code == 0, err
    model, vocabulary = load_checkpoint(tmp_path / "a")
    assert type(model).__name__ == kind
    assert vocabulary.unknown == "<UNK>"
    assert "ignore_same=False" in text
    assert run(*arguments, "--out", tmp_path / "b", "--set", "margin=0.3")[0] == 0
    other, _ = load_checkpoint(tmp_path / "b")
    assert other.config.margin == 0.3
    for key, value in model.state_dict().items():
        assert torch.equal(value, other.state_dict()[key])


def test_settings_have_types(run, tmp_path, hgr_vocabulary):
    file = write(tmp_path, hgr_content(golden("hgr", "hgr_default_a")[1]))
    arguments = ("import-checkpoint", "hgr", file, "--vocab", hgr_vocabulary, "--out")
    settings = ("fusion=sim", "scale=5", "level_weights=[1, 0.2, 0.2, 0.2]", "dropout=[0, 0, 0.5]")
    options = [part for setting in settings for part in ("--set", setting)]
    code, _, err = run(*arguments, tmp_path / "a", *options)
    assert code == 0, err
    config = load_checkpoint(tmp_path / "a")[0].config
    assert (config.fusion, config.scale) == ("sim", 5.0)
    assert config.level_weights == (1.0, 0.2, 0.2, 0.2)
    assert config.dropout == (0.0, 0.0, 0.5)
    for setting, message in (
        ("fusio=sim", "did you mean 'fusion'"),
        ("fusion", "expected field=value"),
        ("scale=x", "scale: expected a number"),
        ("layers=2", "layers: the settings say 2, the tensors of the file 1"),
    ):
        code, _, err = run(*arguments, tmp_path / "b", "--set", setting)
        assert code == 1
        assert message in err
        assert not (tmp_path / "b").exists()


def test_force(run, tmp_path, scan_vocabulary):
    arguments = ("--vocab", scan_vocabulary, "--out", tmp_path / "out")
    first = write(tmp_path, scan_content(*golden("scan", "scan_t2i_lse")))
    assert run("import-checkpoint", "scan", first, *arguments)[0] == 0
    write(tmp_path, scan_content(*golden("scan", "scan_i2t_lse")))
    code, _, err = run("import-checkpoint", "scan", first, *arguments)
    assert code == 1
    assert "the checkpoint exists; --force to replace it" in err
    assert load_checkpoint(tmp_path / "out")[0].config.direction == "t2i"
    assert run("import-checkpoint", "scan", first, *arguments, "--force")[0] == 0
    assert load_checkpoint(tmp_path / "out")[0].config.direction == "i2t"


def test_errors_are_one_line_and_leave_nothing(run, tmp_path, scan_vocabulary, hgr_vocabulary):
    good = write(tmp_path, scan_content(*golden("scan", "scan_t2i_lse")))
    bad = tmp_path / "bad.pth"
    bad.write_bytes(good.read_bytes()[:5000])
    evil = tmp_path / "evil.pth"
    evil.write_bytes(b"\x80\x02cposix\nsystem\nX\x09\x00\x00\x00touch hit\x85R.")
    before = sorted(path.name for path in tmp_path.iterdir())
    for name, file, words, message in (
        ("scan", tmp_path / "none", scan_vocabulary, "no such file"),
        ("scan", bad, scan_vocabulary, "no file of torch.save"),
        ("scan", evil, scan_vocabulary, "it asks for 'posix.system'"),
        ("scan", good, hgr_vocabulary, "vocabulary of 40 words"),
        ("scan", good, tmp_path / "none", "none"),
        ("scan", good, good, "vocabulary"),
        ("gsmn", good, scan_vocabulary, "list of 4 state dicts"),
        ("scam", good, scan_vocabulary, "did you mean 'scan'"),
    ):
        code, out, err = run(
            "import-checkpoint", name, file, "--vocab", words, "--out", tmp_path / "out"
        )
        assert (code, out) == (1, ""), err
        assert message in err
        assert err.startswith("graphmatch: ")
        assert err.count("\n") == 1, err
    assert sorted(path.name for path in tmp_path.iterdir()) == before
    assert run("import-checkpoint", "scan", good, "--out", tmp_path / "out")[0] == 2


def test_help_imports_nothing_heavy():
    code = (
        "import sys; from graphmatch.cli.main import app; app(['import-checkpoint', '--help'], "
        "standalone_mode=False); heavy = {'torch', 'numpy', 'safetensors'} & set(sys.modules); "
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    started = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "--set" in done.stdout
    assert time.perf_counter() - started < 10  # 0.4 s on an idle machine


def test_drn(run, tmp_path):
    config, tensors = golden("drn", "forward_stage3_a")
    state = {f"module.{k.removeprefix('param.')}": v for k, v in tensors.items() if "param." in k}
    file = write(tmp_path, {"epoch": 3, "state_dict": state, "top1": 44.7, "top5": 87.9})
    words = {f"w{number}": number for number in range(1, config["vocab_size"] + 1)}
    (tmp_path / "Charades_word2id.json").write_text(json.dumps(words))
    options = ("--vocab", tmp_path / "Charades_word2id.json", "--out", tmp_path / "out")
    code, text, err = run("import-checkpoint", "drn", file, *options, "--set", "clips=8")
    assert code == 0, err
    assert "top1 44.700" in text
    model, vocabulary = load_checkpoint(tmp_path / "out", task="ground")
    assert (model.config.clips, len(vocabulary)) == (8, config["vocab_size"] + 1)
    assert vocabulary.encode(["w2", "never seen"]) == [2, 0]
