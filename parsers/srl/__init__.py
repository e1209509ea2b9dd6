"""Semantic role frames: rules over a dependency tree, BIO tags, foreign labellers' output."""
