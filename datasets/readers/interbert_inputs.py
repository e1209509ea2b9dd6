"""InterBERT's fixed-size inputs of a caption and the regions of an image.

Source: InterBERT (arXiv 2003.13198); official code, `bertmodel/datasets/concept_cap_dataset.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Literal, get_args

import torch
from torch import Tensor

from graphmatch.errors import ConfigError, GraphError, check_choice
from graphmatch.masking.draws import Draws
from graphmatch.masking.regions import RegionRule, mask_regions
from graphmatch.masking.tokens import NOT_SCORED, MaskedTokens, TokenRule, mask_tokens
from graphmatch.regions.base import Regions
from graphmatch.regions.location import box_location, with_global_region

_SPECIALS = ("[PAD]", "[CLS]", "[SEP]", "[MASK]")
Surplus = Literal["error", "best"]
"""What happens to an image with too many regions."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class InterBertInputs:
    """One pair, or B pairs with a dimension B in front of every shape.

    T is the caption's length with [CLS] and [SEP] and R the number of regions, both with padding;
    the image always comes before the caption. Masks are true on what is real.

    Args:
        input_ids: [T] int64 word pieces as the model sees them.
        token_type_ids: [T] int64, 0.
        attention_mask: [T] bool.
        masked_lm_labels: [T] int64, the piece to be guessed, else -1.
        image_feat: [1 + R, F] float32, the whole image and its regions as the model sees them.
        image_loc: [1 + R, 5] float32, see `box_location`.
        image_attention_mask: [1 + R] bool.
        image_label: [R] int64, 1 where the region's class is to be guessed, else -1.
        image_target: [R, C] float32 class distribution of each region; C is 0 if there is none.
        multimodal_mask: [1 + R + T] bool.
        next_sentence_label: [] int64, 0 if caption and image belong together, 1 if not.
    """

    input_ids: Tensor
    token_type_ids: Tensor
    attention_mask: Tensor
    masked_lm_labels: Tensor
    image_feat: Tensor
    image_loc: Tensor
    image_attention_mask: Tensor
    image_label: Tensor
    image_target: Tensor
    multimodal_mask: Tensor
    next_sentence_label: Tensor

    def to(self, device: torch.device | str) -> InterBertInputs:
        """The same inputs on a device."""
        return InterBertInputs(**{f.name: getattr(self, f.name).to(device) for f in fields(self)})


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class InterBertReader:
    """Makes inputs of pairs.

    With the rules `"released"` it is the released pre-training loader; with None nothing is masked,
    as in fine-tuning and evaluation. Two readers, each with one rule None, mask one side at a time.

    Args:
        vocabulary: id of every word piece, 0 to V - 1.
        text_rule: how word pieces are masked; None is not at all.
        region_rule: how regions are masked; None is not at all.
        max_tokens: T, [CLS] and [SEP] included.
        max_regions: R, without the whole image.
        surplus: of more than R regions, `"error"` refuses the image and `"best"` keeps those with
            the highest scores, in their order.

    Raises:
        ConfigError: a size too small, ids with gaps, no special symbols, an unknown choice.

    Example:
        >>> words = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "dog")
        >>> reader = InterBertReader(vocabulary={word: i for i, word in enumerate(words)},
        ...                          text_rule=None, region_rule=None, max_tokens=6, max_regions=2)
        >>> regions = Regions(size=(20, 10), box=torch.tensor([[0.0, 0.0, 10.0, 10.0]]),
        ...                   label=torch.tensor([3]), score=torch.tensor([0.5]),
        ...                   feature=torch.tensor([[7.0, 9.0]]))
        >>> inputs = reader.read(["a", "dog"], regions)
        >>> inputs.input_ids.tolist(), inputs.image_feat.tolist()
        ([2, 5, 6, 3, 0, 0], [[7.0, 9.0], [7.0, 9.0], [0.0, 0.0]])
    """

    vocabulary: Mapping[str, int]
    text_rule: TokenRule | None = "paper"
    region_rule: RegionRule | None = "paper"
    max_tokens: int = 36
    max_regions: int = 36
    surplus: Surplus = "error"

    def __post_init__(self) -> None:
        if self.max_tokens < 3 or self.max_regions < 1:
            raise ConfigError(
                "expected max_tokens from 3 and max_regions from 1 "
                f"(got {self.max_tokens} and {self.max_regions})"
            )
        missing = [symbol for symbol in _SPECIALS if symbol not in self.vocabulary]
        if missing:
            raise ConfigError(f"vocabulary: expected {', '.join(_SPECIALS)} (no {missing[0]})")
        if {*self.vocabulary.values()} != {*range(len(self.vocabulary))}:
            raise ConfigError(
                f"vocabulary: expected the ids 0 to {len(self.vocabulary) - 1}, each once"
            )
        check_choice("surplus", self.surplus, get_args(Surplus))
        if self.text_rule is not None:
            check_choice("text rule", self.text_rule, get_args(TokenRule))
        if self.region_rule is not None:
            check_choice("region rule", self.region_rule, get_args(RegionRule))

    def read(
        self,
        pieces: Sequence[str],
        regions: Regions,
        draws: Draws | None = None,
        *,
        matched: bool = True,
    ) -> InterBertInputs:
        """Inputs of one pair.

        The caption is cut at its end to T - 2 pieces. Its draws come first, then one uniform number
        a region. The feature of the whole image is made after masking.

        Args:
            pieces: word pieces of the caption, without [CLS] and [SEP].
            regions: with features, on the CPU; `FeatureRecord.regions()` of a stored image.
            draws: the random numbers; not needed if nothing is masked.
            matched: whether the caption describes the image, see `draw_caption`.

        Returns:
            The inputs; nothing that was given is changed.

        Raises:
            ConfigError: text instead of pieces, a piece that the vocabulary lacks, or no draws
                where they are needed.
            GraphError: no features, numbers that are not finite, or too many regions.
        """
        if draws is None and not (self.text_rule is None and self.region_rule is None):
            raise ConfigError("draws: expected a source of random numbers, as random.Random(seed)")
        tokens = self._tokens(pieces, draws)
        regions = self._fit(regions)
        feature, label = self._features(regions, draws)
        rest = self.max_regions - len(regions)
        real = _padded(torch.ones(len(regions), dtype=torch.bool), rest)  # [R]
        feature, location, image_mask = with_global_region(
            _padded(feature, rest), _padded(box_location(regions.box, regions.size), rest), real
        )
        target = regions.probability
        target = feature.new_zeros(len(regions), 0) if target is None else target.float()

        ids = [self.vocabulary["[CLS]"], *tokens.ids, self.vocabulary["[SEP]"]]
        labels = [NOT_SCORED, *tokens.label, NOT_SCORED]
        rest_tokens = self.max_tokens - len(ids)
        text_mask = _padded(torch.ones(len(ids), dtype=torch.bool), rest_tokens)  # [T]
        return InterBertInputs(
            input_ids=_padded(torch.tensor(ids), rest_tokens, self.vocabulary["[PAD]"]),
            token_type_ids=torch.zeros(self.max_tokens, dtype=torch.int64),
            attention_mask=text_mask,
            masked_lm_labels=_padded(torch.tensor(labels), rest_tokens, NOT_SCORED),
            image_feat=feature,
            image_loc=location,
            image_attention_mask=image_mask,
            image_label=_padded(label, rest, NOT_SCORED),
            image_target=_padded(target, rest),
            multimodal_mask=torch.cat([image_mask, text_mask]),
            next_sentence_label=torch.tensor(0 if matched else 1),
        )

    def _tokens(self, pieces: Sequence[str], draws: Draws | None) -> MaskedTokens:
        if isinstance(pieces, str):
            raise ConfigError(f"pieces: expected a list of word pieces (got the text {pieces!r})")
        try:
            ids = [self.vocabulary[piece] for piece in pieces[: self.max_tokens - 2]]
        except KeyError as error:
            raise ConfigError(
                f"the vocabulary has no word piece {error}: cut captions with its own tokenizer"
            ) from None
        if self.text_rule is None or draws is None:
            return MaskedTokens(ids, [NOT_SCORED] * len(ids))
        return mask_tokens(
            ids,
            draws,
            mask_id=self.vocabulary["[MASK]"],
            vocabulary=range(len(self.vocabulary)),
            rule=self.text_rule,
        )

    def _fit(self, regions: Regions) -> Regions:
        if len(regions) <= self.max_regions:
            return regions
        if self.surplus == "error":
            raise GraphError(
                f"expected at most {self.max_regions} regions (got {len(regions)}); "
                "surplus='best' keeps those with the highest scores"
            )
        order = regions.score.argsort(descending=True, stable=True)
        return regions.select(order[: self.max_regions].sort().values)

    def _features(self, regions: Regions, draws: Draws | None) -> tuple[Tensor, Tensor]:
        if regions.feature is None:
            raise GraphError("regions: expected features; describe the regions first")
        feature = regions.feature.float()  # [n, F]
        for name in ("feature", "box", "probability"):
            value = getattr(regions, name)
            if value is not None and not value.isfinite().all():
                raise GraphError(f"regions: {name}: expected finite numbers")
        if self.region_rule is None or draws is None:
            return feature, torch.full((len(regions),), NOT_SCORED)
        uniform = torch.tensor([draws.random() for _ in range(len(regions))], dtype=torch.float64)
        return mask_regions(feature, regions.box, uniform, rule=self.region_rule)


def stack_inputs(inputs: Sequence[InterBertInputs]) -> InterBertInputs:
    """A batch of pairs; a `collate_fn` of `torch.utils.data.DataLoader`.

    Args:
        inputs: B pairs.

    Returns:
        The inputs with a dimension B in front.

    Raises:
        GraphError: no pair, or pairs of different sizes.
    """
    if not inputs:
        raise GraphError("expected one pair or more (got none)")
    stacked = {}
    for field in fields(InterBertInputs):
        values = [getattr(one, field.name) for one in inputs]
        shapes = {tuple(value.shape) for value in values}
        if len(shapes) > 1:
            raise GraphError(f"{field.name}: expected one shape (got {sorted(shapes)})")
        stacked[field.name] = torch.stack(values)  # [B, ...]
    return InterBertInputs(**stacked)


def _padded(value: Tensor, rest: int, fill: int = 0) -> Tensor:
    """`rest` more rows of `fill`."""
    return torch.cat([value, value.new_full((rest, *value.shape[1:]), fill)])
