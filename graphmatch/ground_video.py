"""`clips_of_file`: a video file as clips that a model for moments reads."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from graphmatch.clips.describe import describe_video
from graphmatch.clips.sampling import Sampling
from graphmatch.errors import ConfigError
from graphmatch.ground_job import check_video

if TYPE_CHECKING:
    from graphmatch.graphs.clip import ClipGraph
    from graphmatch.models.drn import DRN
    from graphmatch.regions.backbone import Backbone


def clips_of_file(
    model: DRN,
    path: str | Path,
    *,
    backbone: Backbone,
    sampling: Sampling | None = None,
    side: int | None = None,
    batch_size: int | None = None,
    partial: bool = False,
) -> ClipGraph:
    """Describe the clips of a video as `graphmatch clips` does.

    Args:
        model: the model that is to read them; its features are made by this backbone, too.
        path: the file.
        backbone: the image network.
        sampling: which frames, and what clips; as many frames as the model reads clips if None.
        side: as `describe_video`.
        batch_size: as `describe_video`.
        partial: as `describe_video`.

    Returns:
        The clips.

    Raises:
        ConfigError: a backbone whose features the model does not read, PyAV is missing, an
            impossible number.
        FormatError: no video, a damaged or a truncated one.
        GraphError: another number of clips than the model reads.
    """
    wanted, got = model.config.feature_size, backbone.channels[-1]
    if got != wanted:
        raise ConfigError(
            f"expected a backbone of {wanted} numbers, as the model was trained with (got {got} of "
            f"{backbone.name}); name it, or give a store of the video's features"
        )
    if not Path(path).is_file():
        raise ConfigError(
            f"{path}: expected a video file (got none); a store has its videos by their ids"
        )
    video = describe_video(
        path,
        backbone=backbone,
        sampling=sampling or Sampling(frames=model.config.clips),
        side=side,
        batch_size=batch_size,
        partial=partial,
    ).clips()
    check_video(model, video)
    return video
