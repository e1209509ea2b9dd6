"""Region features: the recipe step by step, batches, bad input, and the stored features of COCO."""

from __future__ import annotations

import csv

import numpy as np
import pytest
import torch

from graphmatch.errors import ConfigError, GraphError
from graphmatch.regions.base import Describer, Photo, Regions
from graphmatch.regions.describe import (
    LITE0_SCALING,
    RegionDescriber,
    Scaling,
    load_lite0_describer,
    pool_regions,
    with_whole_image,
)
from graphmatch.regions.efficientnet import EfficientNetLite0, packaged_weights
from graphmatch.regions.photo import decode_photo
from graphmatch.regions.projection import Projection
from graphmatch.regions.resize import stretch
from graphmatch.regions.roi_pool import roi_pool


@pytest.fixture(scope="module")
def backbone():
    torch.manual_seed(0)
    network = EfficientNetLite0()
    network.side = 96
    return network


@pytest.fixture
def photos():
    generator = np.random.default_rng(1)
    return [
        Photo(
            id=str(size), pixels=generator.integers(0, 256, (*size, 3), np.uint8), size=size[::-1]
        )
        for size in ((40, 60), (30, 20), (1, 1))
    ]


@pytest.fixture
def regions(photos):
    generator = torch.Generator().manual_seed(2)
    result = []
    for photo, count in zip(photos, (4, 0, 2), strict=True):
        corners = torch.rand(count, 2, 2, generator=generator).sort(dim=1).values
        box = (corners * torch.tensor(photo.size)).flatten(1)
        label = torch.zeros(count, dtype=torch.int64)
        result.append(Regions(size=photo.size, box=box, label=label, score=torch.rand(count)))
    return result


def test_equals_the_recipe_step_by_step(backbone, photos, regions, assert_close):
    generator = torch.Generator().manual_seed(4)
    projection = Projection(
        mean=torch.rand(1392, generator=generator),
        basis=torch.rand(1392, 5, generator=generator),
        scale=0.25,
    )
    describer = RegionDescriber(backbone, scaling=LITE0_SCALING, projection=projection)
    assert isinstance(describer, Describer)
    result = describer.describe(photos, regions)
    assert [list(one.shape) for one in result] == [[4, 5], [0, 5], [2, 5]]
    photo, box = photos[0], regions[0].box / torch.tensor([60.0, 40.0, 60.0, 40.0])
    shallow, deep = (
        roi_pool(a_map, box, torch.zeros(4, dtype=torch.int64))
        for a_map in backbone.maps(stretch(photo.pixels, 96, 96)[None])
    )
    for row in range(4):
        one = shallow[row] / shallow[row].norm() * 0.5
        two = deep[row].sqrt() / deep[row].sqrt().norm()
        expected = (torch.cat([one, two]) - projection.mean) @ projection.basis / 0.25
        assert_close(result[0][row], expected.detach())


@pytest.mark.parametrize("batch_size", [None, 1, 2, 3])
def test_batch_equals_one_by_one(backbone, photos, regions, batch_size):
    describer = RegionDescriber(backbone, scaling=LITE0_SCALING, batch_size=batch_size)
    together = describer.describe(photos, regions)
    for photo, one, feature in zip(photos, regions, together, strict=True):
        alone = describer.describe([photo], [one])[0]
        torch.testing.assert_close(alone, feature, atol=1e-5, rtol=1e-4)
    assert describer.describe([], []) == []


def test_same_in_every_run_and_any_order_of_regions(backbone, photos, regions):
    describer = RegionDescriber(backbone)
    first = describer.describe(photos, regions)
    again = describer.describe(photos, regions)
    assert all(torch.equal(one, two) for one, two in zip(first, again, strict=True))
    order = torch.tensor([2, 0, 3, 1])
    turned = describer.describe(photos[:1], [regions[0].select(order)])
    assert torch.equal(turned[0], first[0][order])


def test_a_reduced_copy_keeps_boxes_in_pixels_of_the_original(backbone, photos, regions):
    photo, one = photos[0], regions[0]
    large = Photo(id="large", pixels=photo.pixels, size=(6000, 4000))
    scaled = Regions(size=large.size, box=one.box * 100, label=one.label, score=one.score)
    describer = RegionDescriber(backbone)
    actual = describer.describe([large], [scaled])
    torch.testing.assert_close(actual, describer.describe([photo], [one]), atol=1e-5, rtol=1e-4)


def test_features_can_be_trained_on(backbone, photos, regions):
    feature = RegionDescriber(backbone).describe(photos[:1], regions[:1])[0]
    layer = torch.nn.Linear(1392, 2)
    layer(feature).sum().backward()
    assert layer.weight.grad.isfinite().all()


def test_pooled_parts_stand_side_by_side(assert_close):
    maps = [torch.rand(2, 3, 4, 4, dtype=torch.bfloat16), torch.rand(2, 2, 2, 2)]
    box, image = torch.rand(5, 4), torch.tensor([0, 1, 1, 0, 1])
    result = pool_regions(maps, box, image, samples=2)
    assert result.dtype == torch.float32
    assert_close(result[:, :3], roi_pool(maps[0].float(), box, image, 2))
    assert_close(result[:, 3:], roi_pool(maps[1], box, image, 2))


def test_scaling_keeps_zero_and_takes_the_signed_root(assert_close):
    part = torch.tensor([[0.0, 0.0], [-4.0, 9.0]])
    assert_close(Scaling()(part), part)
    assert_close(Scaling(root=True)(part), torch.tensor([[0.0, 0.0], [-2.0, 3.0]]))
    scaled = Scaling(root=True, length=0.5)(part)
    assert_close(scaled.norm(dim=1), torch.tensor([0.0, 0.5]))


def test_whole_image_is_last():
    regions = Regions(
        size=(20, 10),
        box=torch.tensor([[1.0, 2.0, 3.0, 4.0], [5.0, 6.0, 7.0, 8.0]]),
        label=torch.tensor([3, 4]),
        score=torch.tensor([0.5, 0.25]),
        feature=torch.tensor([[1.0], [2.0]]),
        probability=torch.tensor([[1.0, 0.0], [0.5, 0.5]]),
    )
    result = with_whole_image(regions)
    assert result.box.tolist() == [*regions.box.tolist(), [0, 0, 20, 10]]
    assert result.label.tolist() == [3, 4, -1]
    assert result.score.tolist() == [0.5, 0.25, 1]
    assert result.feature.tolist() == [[1], [2], [1.5]]
    assert result.probability.tolist() == [[1, 0], [0.5, 0.5], [0.75, 0.25]]
    none = with_whole_image(regions.select(torch.tensor([], dtype=torch.int64)))
    assert none.feature.tolist() == [[0]]
    assert none.label.tolist() == [-1]


def test_version_names_the_options(backbone):
    projections = [
        Projection(mean=torch.zeros(1392), basis=torch.full((1392, 2), value), scale=1.0)
        for value in (1.0, 2.0)
    ]
    describers = [
        RegionDescriber(backbone),
        RegionDescriber(backbone, samples=2),
        RegionDescriber(backbone, scaling=LITE0_SCALING),
        *(RegionDescriber(backbone, projection=projection) for projection in projections),
        RegionDescriber(EfficientNetLite0("other")),
    ]
    assert len({describer.version for describer in describers}) == len(describers)
    assert RegionDescriber(backbone, batch_size=3).version == describers[0].version


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"samples": 0}, "from 1"),
        ({"batch_size": 0}, "from 1"),
        ({"scaling": [Scaling()]}, r"has 2 maps: expected as many scalings \(got 1\)"),
        (
            {"projection": Projection(mean=torch.zeros(3), basis=torch.eye(3), scale=1.0)},
            r"gives 1392 numbers a region.*\(got one of 3\)",
        ),
    ],
)
def test_bad_options(backbone, options, message):
    with pytest.raises(ConfigError, match=message):
        RegionDescriber(backbone, **options)


def test_bad_input(backbone, photos, regions):
    describer = RegionDescriber(backbone)
    with pytest.raises(GraphError, match="3 photographs and regions of 2"):
        describer.describe(photos, regions[:2])
    with pytest.raises(GraphError, match=r"of \(60, 40\) pixels \(got \(20, 30\)\)"):
        describer.describe(photos[:1], regions[1:2])
    broken = Regions(
        size=(60, 40),
        box=torch.full((1, 4), torch.nan),
        label=torch.tensor([0]),
        score=torch.tensor([1.0]),
    )
    with pytest.raises(GraphError, match="finite boxes"):
        describer.describe(photos[:1], [broken])
    with pytest.raises(ConfigError, match="expected 1 scalings"):
        pool_regions(
            [torch.zeros(1, 1, 2, 2)],
            torch.zeros(1, 4),
            torch.zeros(1, dtype=torch.int64),
            scaling=LITE0_SCALING,
        )


@pytest.mark.slow
def test_stored_features_of_coco_photographs(data):
    describer = load_lite0_describer(packaged_weights(), data / "coco_regions" / "pca.npz")
    with (data / "coco_photos" / "photos.tsv").open() as stream:
        table = [row for row in csv.DictReader(stream, delimiter="\t") if row["kind"] == "full"]
    stored = {}
    for split in ("train", "val", "test"):
        with np.load(data / "coco_regions" / f"regions_{split}.npz") as archive:
            arrays = {name: archive[name] for name in archive.files}
        ends = np.cumsum(arrays["num_regions"].astype(np.int64))
        for number, image in enumerate(arrays["image_id"].tolist()):
            rows = slice(ends[number] - arrays["num_regions"][number], ends[number])
            stored[image] = [
                torch.from_numpy(arrays[name][rows].astype(np.float32))
                for name in ("boxes", "features")
            ]
    assert len(table) == 75
    for row in table:
        box, expected = stored[int(row["image_id"])]
        content = (data / "coco_photos" / row["file"]).read_bytes()
        photo = decode_photo(content, row["image_id"])
        count = len(box)
        regions = Regions(
            size=photo.size,
            box=box / 2,  # half pixels
            label=torch.zeros(count, dtype=torch.int64),
            score=torch.ones(count),
        )
        actual = describer.describe([photo], [regions])[0]
        cosine = torch.cosine_similarity(actual, expected, dim=1)
        assert cosine.mean() > 0.9999
        assert cosine[-1] > 0.99999  # the whole image: its box is exact
