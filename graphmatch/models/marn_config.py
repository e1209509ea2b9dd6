"""`MARNConfig`: sizes and options of `graphmatch.models.marn.MARN`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from graphmatch.config import check_counts, check_positive
from graphmatch.errors import ConfigError, check_choice
from graphmatch.nn.behaviour_attention import Attention, AttentionNorm
from graphmatch.nn.click_head import Activation
from graphmatch.nn.double_discriminator import InvariantFusion
from graphmatch.nn.modality_embedding import Modality
from graphmatch.nn.reversal_strength import EtaSchedule, reversal_strength

ItemModel = Literal["marn", "invariant", "fusion", "concat"]
Adversary = Literal["double", "single", "none"]
Weighting = Literal["feature", "loss"]
Scope = Literal["all", "target"]
Projection = Literal["none", "relu", "tanh"]
UserModel = Literal["apgru", "augru", "gru", "attention", "mean"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A category: a property of behaviours, or a feature of user or request.

    Args:
        name: an identifier.
        size: entries; entry 0 is missing or padding.
        width: numbers of an embedded entry.

    Raises:
        ConfigError: an impossible value.
    """

    name: str
    size: int
    width: int = 8

    def __post_init__(self) -> None:
        check_counts(self, "size", "width")
        if not self.name.isidentifier():
            raise ConfigError(f"name of a table: expected an identifier (got {self.name!r})")


@dataclass(frozen=True, slots=True, kw_only=True)
class MARNConfig:
    """Options of `MARN`. The paper's text was not available: see docs for where defaults are from.

    Raises:
        ConfigError: an impossible value.

    Example:
        >>> ids = Modality(name="ids", kind="ids", sizes=(63001, 801), widths=(32, 16))
        >>> image = Modality(name="image", kind="vector", sizes=(4096,))
        >>> MARNConfig(modalities=(image, ids)).names  # in alphabetical order
        ('ids', 'image')
    """

    modalities: tuple[Modality, ...]  # of items; kept in the alphabetical order of names
    vocabulary: int = 1  # number of words of all modalities of words; word 0 is padding
    properties: tuple[Table, ...] = ()  # of behaviours: type, time
    history: int = 20  # behaviours that are read, the last ones; the model takes any number
    context: int = 0  # numbers of user and request
    context_tables: tuple[Table, ...] = ()  # categories of user and request
    dim: int = 256  # d, numbers of every item feature
    proj_activation: Projection = "none"  # after alignment and both projections
    item: ItemModel = "marn"  # s + c; "invariant": c; "fusion": MAF without projections; "concat"
    adversary: Adversary = "double"  # "single": w = 1 and no D0; "none": no L_D1 either
    ddma_weighting: Weighting = "feature"  # D1 sees w c; "loss": its loss is weighed
    w_normalize: bool = True  # w divided by its mean; False: the literal formula, which dies
    w_momentum: float = 0.1  # of the running mean of w that evaluation uses
    invariant_fusion: InvariantFusion = "weighted_max"  # how M invariant vectors become one
    adversarial_scope: Scope = "all"  # items in L_D0, L_D1, L_Ds; "target": candidates alone
    specific_loss: bool = True  # L_Ds
    ds_updates_discriminator: bool = True  # L_Ds reaches the discriminator that it shares with D1
    disc_hidden: int = 64  # numbers between the layers of a discriminator
    aux_weight: float = 0.05  # lambda, of L_D1 + L_Ds
    eta: float = 0.1  # of the reversed gradient, relative to lambda
    eta_schedule: EtaSchedule = "constant"  # see `reversal_strength`
    eta_steps: int = 10_000  # after which a schedule stays
    recurrent: UserModel = "apgru"  # "augru", "gru" with a = 1, sum by attention, mean
    property_input: bool = False  # properties beside the items; APGRU has them in its gates
    hidden: int = 256  # H, numbers of the state
    attention: Attention = "bilinear"  # of behaviours for the candidate
    attention_norm: AttentionNorm = "softmax"  # "sigmoid" moves the state more in long histories
    units: tuple[int, ...] = (200, 80)  # of the layers before the logit
    activation: Activation = "prelu"
    dropout: float = 0.0
    batch_norm: bool = False
    product: bool = False  # user * candidate beside them; needs hidden = dim
    embedding_std: float = 0.05  # of the numbers that tables begin with

    def __post_init__(self) -> None:
        object.__setattr__(
            self, "modalities", tuple(sorted(self.modalities, key=lambda modality: modality.name))
        )
        least = 2 if self.splits else 1
        if len(self.modalities) < least:
            got = len(self.modalities)
            raise ConfigError(
                f"modalities: expected at least {least} with item={self.item!r} (got {got})"
            )
        for what in ("modalities", "properties", "context_tables"):
            names = [part.name for part in getattr(self, what)]
            if len(set(names)) != len(names):
                raise ConfigError(f"{what}: expected different names (got {names})")
        if any(part.kind == "words" for part in self.modalities) and self.vocabulary < 2:
            raise ConfigError(f"vocabulary: expected at least 2 words (got {self.vocabulary})")
        check_counts(self, "vocabulary", "dim", "disc_hidden", "eta_steps", "hidden")
        check_counts(self, "history", "context", least=0)
        check_positive(self, "aux_weight", "eta", "embedding_std", or_zero=True)
        for name, choices in _CHOICES.items():
            check_choice(name, getattr(self, name), get_args(choices))
        if not 0 <= self.dropout < 1:
            raise ConfigError(f"dropout: expected a number in [0, 1) (got {self.dropout})")
        if not 0 < self.w_momentum <= 1:
            raise ConfigError(f"w_momentum: expected a number in (0, 1] (got {self.w_momentum})")
        if not self.units or min(self.units) < 1:
            raise ConfigError(f"units: expected numbers from 1 (got {self.units})")
        if self.property_input and (self.recurrent == "apgru" or not self.properties):
            raise ConfigError(
                "property_input: expected properties and no apgru, whose gates have them"
            )
        if self.product and self.user_size != self.dim:
            raise ConfigError(
                f"product: expected a user of {self.dim} numbers (got {self.user_size})"
            )

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the modalities, in alphabetical order."""
        return tuple(modality.name for modality in self.modalities)

    @property
    def splits(self) -> bool:
        """Whether items have invariant features."""
        return self.item in ("marn", "invariant")

    @property
    def weighs(self) -> bool:
        """Whether there is a first discriminator D0."""
        return self.splits and self.adversary == "double"

    @property
    def has_second(self) -> bool:
        """Whether there is a second discriminator D1, which Ds is, too."""
        return self.splits and (self.adversary != "none" or self.has_specific)

    @property
    def has_specific(self) -> bool:
        """Whether there is a loss L_Ds."""
        return self.item == "marn" and self.specific_loss

    @property
    def property_size(self) -> int:
        """Numbers of an embedded property."""
        return sum(table.width for table in self.properties)

    @property
    def user_size(self) -> int:
        """Numbers of a user's vector."""
        if self.recurrent in ("attention", "mean"):
            return self.dim + self.property_size * self.property_input
        return self.hidden

    def eta_at(self, step: int) -> float:
        """Strength of the reversed gradient at a training step.

        Args:
            step: from 0.

        Returns:
            See `reversal_strength`.
        """
        return reversal_strength(
            step, schedule=self.eta_schedule, eta=self.eta, steps=self.eta_steps
        )


_CHOICES = {
    "proj_activation": Projection,
    "item": ItemModel,
    "adversary": Adversary,
    "ddma_weighting": Weighting,
    "invariant_fusion": InvariantFusion,
    "adversarial_scope": Scope,
    "eta_schedule": EtaSchedule,
    "recurrent": UserModel,
    "attention": Attention,
    "attention_norm": AttentionNorm,
    "activation": Activation,
}
