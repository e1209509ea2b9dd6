"""`train_stores`: a training from stores of captions and of images or videos."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from graphmatch.caption_set import CaptionSet
from graphmatch.checkpoint import load_checkpoint
from graphmatch.config import config_from_values, config_values, parse_setting
from graphmatch.errors import ConfigError, check_choice
from graphmatch.feature_store import FeatureStore
from graphmatch.models.region_word import ENCODER_FIELDS, ENCODERS, RegionWordMatcher
from graphmatch.models.table import find_model, model_name
from graphmatch.nn.piece_encoder import PieceEncoder
from graphmatch.pair_set import PairSet
from graphmatch.piece_folder import read_pieces, whole_words
from graphmatch.store import GraphStore
from graphmatch.train import train
from graphmatch.train_config import LoopConfig, TrainConfig, training_config
from graphmatch.train_report import TrainReport
from graphmatch.vocab import HGR_SPECIALS, SCAN_SPECIALS, Vocabulary
from graphmatch.weights import check_fit

_FROM_DATA = ("vocabulary", "feature_size", "pretrained")  # fields of a model that inputs decide
_BOXES = ("gsmn",)  # models that read boxes


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class TrainJob:
    """What `graphmatch train` is asked for.

    Args:
        model: as in `graphmatch.models.table`.
        captions: store of parsed captions.
        visual: store of regions or clips.
        out: folder of the run.
        val_captions: captions of the validation pairs, if there are any.
        val_visual: their images or videos; those of `visual` if None.
        vocab: file with the words; made from the training captions if None.
        min_count: how often a word must occur there; 4 for SCAN's family, 3 for HGR's if None, 1
            with a text encoder.
        text_encoder: folder of a BERT whose states words have beside their embeddings, see
            `graphmatch.piece_folder`; words that it knows whole are in the vocabulary, too.
        settings: `field=value` of the model's configuration or of `TrainConfig`.
        init: checkpoint to begin with. Of SCAN, GSMN and IMRAM each may begin with the encoders of
            another one.
    """

    model: str
    captions: Path
    visual: Path
    out: Path
    val_captions: Path | None = None
    val_visual: Path | None = None
    vocab: Path | None = None
    min_count: int | None = None
    text_encoder: Path | None = None
    settings: Sequence[str] = ()
    init: Path | None = None


def train_stores(
    job: TrainJob,
    *,
    force: bool = False,
    tensorboard: bool = False,
    progress: bool = False,
    tell: Callable[[str], None] | None = None,
) -> TrainReport:
    """Train a matcher on stores; called again with the same job, go on where it stopped.

    Args:
        job: what to train on what.
        force: throw away another training in the folder.
        tensorboard: write files for TensorBoard, too.
        progress: show a bar, if the output is a terminal.
        tell: gets the effective configuration, a line each for the model and the training.

    Returns:
        What was done.

    Raises:
        ConfigError: an unknown model or field, an impossible value, options that contradict each
            other, no pairs; as `graphmatch.train.train`.
        CheckpointError: a checkpoint that does not fit; as `graphmatch.train.train`.
        FormatError: a damaged store or vocabulary.
    """
    own, ours = split_settings(job.model, job.settings)
    config = training_config(job.model, ours)
    if job.val_visual is not None and job.val_captions is None:
        raise ConfigError("--val-visual: expected --val-captions with it (got none)")
    captions, visual = GraphStore(job.captions), FeatureStore(job.visual)
    matcher, vocabulary = _begin(job, captions, visual, own, seed=config.seed)
    pairs = PairSet(CaptionSet.for_matcher(captions, vocabulary, matcher), visual)
    validation = None
    if job.val_captions is not None:
        other = visual if job.val_visual is None else FeatureStore(job.val_visual)
        if feature_width(other) != feature_width(visual):
            raise ConfigError(
                f"{other.path}: expected features of {feature_width(visual)} numbers, as in "
                f"{visual.path} (got {feature_width(other)})"
            )
        held = CaptionSet.for_matcher(GraphStore(job.val_captions), vocabulary, matcher)
        validation = PairSet(held, other)
    if tell is not None:
        tell(f"{job.model}: {in_words(matcher.config)}")
        tell(f"training: {in_words(config)}")
        tell(f"pairs: {pairs!r}; validation: {validation!r}")
    return train(
        matcher,
        pairs,
        job.out,
        vocabulary=vocabulary,
        config=config,
        validation=validation,
        force=force,
        tensorboard=tensorboard,
        progress=progress,
    )


def split_settings(model: str, settings: Sequence[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Settings of a model's configuration and of its training.

    Args:
        model: as in `graphmatch.models.table`.
        settings: `field=value` each; the last of a field counts.

    Returns:
        Values by field, of the model and of `TrainConfig`, or of `MomentTrainConfig` for DRN; the
        two have no field in common.

    Raises:
        ConfigError: an unknown field, with the nearest of either; a value of another type; a field
            that the data decide.

    Example:
        >>> split_settings("scan", ["lr=1e-3", "direction=i2t"])
        ({'direction': 'i2t'}, {'lr': 0.001})
    """
    kind = find_model(model).config_class()
    training = _training_class(model)
    of_model = [field.name for field in dataclasses.fields(kind)]
    of_training = [field.name for field in dataclasses.fields(training)]
    values: tuple[dict[str, Any], dict[str, Any]] = ({}, {})
    for setting in settings:
        name, equals, _ = setting.partition("=")
        if not equals:
            raise ConfigError(f"--set: expected field=value (got {setting!r})")
        check_choice("field", name.strip(), [*of_model, *of_training])
        if name.strip() in _FROM_DATA:
            raise ConfigError(f"--set {name}: this follows from the data and cannot be set")
        here = name.strip() in of_model
        field, value = parse_setting(kind if here else training, setting)
        values[0 if here else 1][field] = value
    return values


def _training_class(model: str) -> type[LoopConfig]:
    if find_model(model).task == "match":
        return TrainConfig
    from graphmatch.moment_training import MomentTrainConfig

    return MomentTrainConfig


def _begin(
    job: TrainJob, captions: GraphStore, visual: FeatureStore, own: dict[str, Any], *, seed: int
) -> tuple[Any, Vocabulary]:
    """The matcher with its first weights, and its words."""
    if job.model in _BOXES and visual.kind != "regions":
        raise ConfigError(f"{visual.path}: expected regions, {job.model} reads boxes (got clips)")
    entry = find_model(job.model)
    kind, config_kind = entry.model_class(), entry.config_class()
    if job.init is not None:
        return _from_checkpoint(job, visual, own, seed=seed)
    vocabulary = _vocabulary(job, captions, kind)
    sizes: dict[str, Any] = {"vocabulary": len(vocabulary), "feature_size": feature_width(visual)}
    states: dict[str, Tensor] = {}
    if job.text_encoder is not None:
        sizes["pretrained"], states = read_pieces(job.text_encoder, vocabulary)
    config = config_from_values(config_kind, {**own, **sizes})
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        matcher = kind(config)
    for module in matcher.modules():
        if isinstance(module, PieceEncoder):
            module.load_state_dict(states)
    return matcher, vocabulary


def _vocabulary(job: TrainJob, captions: GraphStore, kind: Any) -> Vocabulary:
    """The words of a training that does not begin with a checkpoint."""
    if job.vocab is not None:
        if job.min_count is not None:
            raise ConfigError("--min-count: expected no --vocab with it, which has its words")
        return Vocabulary.load(job.vocab)
    specials, unknown, usual = (
        (SCAN_SPECIALS, "<unk>", 4) if kind.marks else (HGR_SPECIALS, "<UNK>", 3)
    )
    least = job.min_count or (usual if job.text_encoder is None else 1)
    vocabulary = Vocabulary.build(
        captions.words(), min_count=least, specials=specials, unknown=unknown
    )
    if len(vocabulary) == len(specials):
        raise ConfigError(
            f"{job.captions}: expected words that occur {least} times or more (got none); "
            "--min-count says how often"
        )
    if job.text_encoder is None:
        return vocabulary
    more = [word for word in whole_words(job.text_encoder) if word not in vocabulary]
    return Vocabulary((*vocabulary.words, *more), unknown)


def _from_checkpoint(
    job: TrainJob, visual: FeatureStore, own: dict[str, Any], *, seed: int
) -> tuple[Any, Vocabulary]:
    if job.vocab is not None or job.min_count is not None or job.text_encoder is not None:
        raise ConfigError(
            "--init: expected no --vocab, --min-count or --text-encoder, the checkpoint has words"
        )
    found, vocabulary = load_checkpoint(str(job.init), task="match")
    kind = find_model(job.model).model_class()
    values = config_values(found.config)
    state = found.state_dict()
    if not isinstance(found, kind):
        if not (issubclass(kind, RegionWordMatcher) and isinstance(found, RegionWordMatcher)):
            raise ConfigError(
                f"{job.init}: expected a checkpoint of {job.model} (got one of {model_name(found)})"
            )
        values = {name: values[name] for name in ENCODER_FIELDS}
        state = {name: value for name, value in state.items() if name.startswith(ENCODERS)}
    if found.config.feature_size != feature_width(visual):
        raise ConfigError(
            f"{visual.path}: expected features of {found.config.feature_size} numbers, as the "
            f"checkpoint reads (got {feature_width(visual)})"
        )
    config = config_from_values(find_model(job.model).config_class(), {**values, **own})
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        matcher = kind(config)
    if not isinstance(found, kind):
        state = {**matcher.state_dict(), **state}
    check_fit(matcher, state)
    matcher.load_state_dict(state)
    return matcher, vocabulary


def feature_width(visual: FeatureStore) -> int:
    """Numbers of a feature.

    Args:
        visual: a store.

    Returns:
        The number.

    Raises:
        ConfigError: a store without features.
    """
    if "feature" not in visual.arrays:
        raise ConfigError(
            f"{visual.path}: expected a store with features (got {len(visual)} items)"
        )
    return int(visual.arrays["feature"].shape[1])


def in_words(config: Any) -> str:
    """A configuration in one line.

    Args:
        config: a dataclass, as `config_values` takes it.

    Returns:
        `field=value`, all of them.
    """
    return " ".join(f"{name}={value}" for name, value in config_values(config).items())
