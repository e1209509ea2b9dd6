"""Fine-grained cross-modal matching on graphs.

Importing this package is cheap: names load what they need when they are first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from graphmatch.public_names import MODULES

if TYPE_CHECKING:
    from graphmatch.bootstrap import bootstrap_interval, paired_difference
    from graphmatch.caption_set import CaptionSet
    from graphmatch.checkpoint import load_checkpoint, save_checkpoint
    from graphmatch.click_batch import ClickBatch, Items
    from graphmatch.click_job import encode_clicks
    from graphmatch.click_loader import ClickLoader
    from graphmatch.click_metrics import auc, grouped_auc, log_loss
    from graphmatch.click_schema import ClickSchema
    from graphmatch.click_scorer import ClickScorer
    from graphmatch.click_store import ClickStore
    from graphmatch.clip_job import extract_clips
    from graphmatch.clips.frame_selection import select_frames
    from graphmatch.clips.sampling import Sampling
    from graphmatch.clips.video_sources import find_videos
    from graphmatch.collapse import CollapseWarning
    from graphmatch.columns import GraphColumns
    from graphmatch.compositional import CompositionalReport, compositional_report
    from graphmatch.convert import convert_features
    from graphmatch.corpus import map_blocks
    from graphmatch.datasets.caption_ids import caption_ids
    from graphmatch.datasets.captions import Caption, read_captions
    from graphmatch.datasets.dataset import DataSet, Visual
    from graphmatch.datasets.interbert_inputs import InterBertInputs, InterBertReader
    from graphmatch.datasets.role_limits import limit_roles
    from graphmatch.encode import encode_texts, encode_visuals
    from graphmatch.encode_job import EncodeReport, encode_corpus
    from graphmatch.encoded import Encoded
    from graphmatch.encoded_store import EncodedItems, read_encoded
    from graphmatch.errors import CheckpointError, ConfigError, FormatError, GraphError, ParseError
    from graphmatch.evaluate import (
        average_scores,
        evaluate_folds,
        evaluate_scores,
        evaluate_tiles,
        evaluate_unique,
    )
    from graphmatch.evaluation_report import EvaluationReport, Resampling
    from graphmatch.explanation import Explanation
    from graphmatch.export import export_store
    from graphmatch.feature_record import FeatureRecord
    from graphmatch.feature_store import FeatureStore
    from graphmatch.feature_writer import FeatureWriter
    from graphmatch.graphs.batch import MatchBatch
    from graphmatch.graphs.clip import ClipGraph
    from graphmatch.graphs.history import HistoryGraph
    from graphmatch.graphs.region import RegionGraph
    from graphmatch.graphs.text import TextGraph
    from graphmatch.graphs.words import add_marks, word_graph
    from graphmatch.ground_job import ground_sentences
    from graphmatch.import_report import ImportReport
    from graphmatch.index import MatchIndex
    from graphmatch.index_recall import PrefilterRecall, measure_recall
    from graphmatch.index_report import IndexReport
    from graphmatch.index_search import Hit
    from graphmatch.item_export import export_items
    from graphmatch.masking.regions import mask_regions
    from graphmatch.masking.tokens import mask_tokens
    from graphmatch.milvus_prefilter import MilvusPrefilter
    from graphmatch.models.drn import DRN, DRNConfig
    from graphmatch.models.global_match import GlobalMatch, GlobalMatchConfig
    from graphmatch.models.gsmn import GSMN, GSMNConfig
    from graphmatch.models.hgr import HGR, HGRConfig
    from graphmatch.models.imram import IMRAM, IMRAMConfig
    from graphmatch.models.marn import MARN, MARNConfig
    from graphmatch.models.matcher import Matcher
    from graphmatch.models.scan import SCAN, SCANConfig
    from graphmatch.moment_decoding import Moments, decode_moments
    from graphmatch.moment_metrics import evaluate_moments
    from graphmatch.moment_protocol import MomentProtocol
    from graphmatch.moment_report import MomentReport
    from graphmatch.moment_set import MomentSet, collate_queries
    from graphmatch.nn.hinge_loss import hinge_loss
    from graphmatch.nn.kernel_conv import KernelConv
    from graphmatch.nn.polar_kernel import PolarKernels
    from graphmatch.nn.role_attention import RoleAttention
    from graphmatch.official_checkpoint import import_official
    from graphmatch.pair_set import PairSet
    from graphmatch.parse import Argument, Frame, Parse
    from graphmatch.parse_job import parse_captions
    from graphmatch.parsers import load_parser
    from graphmatch.parsers.dependencies import dependency_graph
    from graphmatch.parsers.roles import role_graph
    from graphmatch.plot import graph_svg, save_pictures
    from graphmatch.prefilter import Candidate, Prefilter
    from graphmatch.protocol import Protocol
    from graphmatch.ray_engine import ray_blocks
    from graphmatch.region_job import RegionChoice, extract_regions
    from graphmatch.region_shards import extract_region_shards
    from graphmatch.regions.annotated import AnnotatedDetector
    from graphmatch.regions.base import Photo, Regions
    from graphmatch.regions.describe import RegionDescriber
    from graphmatch.regions.load_backbone import load_backbone
    from graphmatch.regions.load_detector import load_detector
    from graphmatch.regions.location import box_location
    from graphmatch.regions.neighbours import complete_edges, nearest_edges
    from graphmatch.regions.onnx_detector import OnnxDetector, OnnxInput
    from graphmatch.regions.photo import decode_photo
    from graphmatch.regions.photo_sources import read_sources
    from graphmatch.regions.picodet import picodet
    from graphmatch.regions.polar import edge_polar, pairwise_polar
    from graphmatch.regions.projection import Projection, load_projection
    from graphmatch.regions.roi_pool import roi_pool
    from graphmatch.retrieval_report import RetrievalReport
    from graphmatch.rows import CaptionRow
    from graphmatch.scoring import recomputed_scores, score_matrix, score_tiles
    from graphmatch.store import GraphStore
    from graphmatch.train_config import TrainConfig, training_config
    from graphmatch.train_report import TrainReport
    from graphmatch.vocab import Vocabulary

__all__ = [
    "DRN",
    "GSMN",
    "HGR",
    "IMRAM",
    "MARN",
    "SCAN",
    "AnnotatedDetector",
    "Argument",
    "Candidate",
    "Caption",
    "CaptionRow",
    "CaptionSet",
    "CheckpointError",
    "ClickBatch",
    "ClickLoader",
    "ClickSchema",
    "ClickScorer",
    "ClickStore",
    "ClipGraph",
    "CollapseWarning",
    "CompositionalReport",
    "ConfigError",
    "DRNConfig",
    "DataSet",
    "EncodeReport",
    "Encoded",
    "EncodedItems",
    "EvaluationReport",
    "Explanation",
    "FeatureRecord",
    "FeatureStore",
    "FeatureWriter",
    "FormatError",
    "Frame",
    "GSMNConfig",
    "GlobalMatch",
    "GlobalMatchConfig",
    "GraphColumns",
    "GraphError",
    "GraphStore",
    "HGRConfig",
    "HistoryGraph",
    "Hit",
    "IMRAMConfig",
    "ImportReport",
    "IndexReport",
    "InterBertInputs",
    "InterBertReader",
    "Items",
    "KernelConv",
    "MARNConfig",
    "MatchBatch",
    "MatchIndex",
    "Matcher",
    "MilvusPrefilter",
    "MomentProtocol",
    "MomentReport",
    "MomentSet",
    "Moments",
    "OnnxDetector",
    "OnnxInput",
    "PairSet",
    "Parse",
    "ParseError",
    "Photo",
    "PolarKernels",
    "Prefilter",
    "PrefilterRecall",
    "Projection",
    "Protocol",
    "RegionChoice",
    "RegionDescriber",
    "RegionGraph",
    "Regions",
    "Resampling",
    "RetrievalReport",
    "RoleAttention",
    "SCANConfig",
    "Sampling",
    "TextGraph",
    "TrainConfig",
    "TrainReport",
    "Visual",
    "Vocabulary",
    "add_marks",
    "auc",
    "average_scores",
    "bootstrap_interval",
    "box_location",
    "caption_ids",
    "collate_queries",
    "complete_edges",
    "compositional_report",
    "convert_features",
    "decode_moments",
    "decode_photo",
    "dependency_graph",
    "edge_polar",
    "encode_clicks",
    "encode_corpus",
    "encode_texts",
    "encode_visuals",
    "evaluate_folds",
    "evaluate_moments",
    "evaluate_scores",
    "evaluate_tiles",
    "evaluate_unique",
    "export_items",
    "export_store",
    "extract_clips",
    "extract_region_shards",
    "extract_regions",
    "find_videos",
    "graph_svg",
    "ground_sentences",
    "grouped_auc",
    "hinge_loss",
    "import_official",
    "limit_roles",
    "load_backbone",
    "load_checkpoint",
    "load_detector",
    "load_parser",
    "load_projection",
    "log_loss",
    "map_blocks",
    "mask_regions",
    "mask_tokens",
    "measure_recall",
    "nearest_edges",
    "paired_difference",
    "pairwise_polar",
    "parse_captions",
    "picodet",
    "ray_blocks",
    "read_captions",
    "read_encoded",
    "read_sources",
    "recomputed_scores",
    "roi_pool",
    "role_graph",
    "save_checkpoint",
    "save_pictures",
    "score_matrix",
    "score_tiles",
    "select_frames",
    "training_config",
    "word_graph",
]


def __getattr__(name: str) -> Any:
    if name not in MODULES:
        raise AttributeError(f"module 'graphmatch' has no attribute {name!r}")
    return getattr(import_module(MODULES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *MODULES})
