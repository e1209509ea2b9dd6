"""Readers and writers of the feature files people have, one format a file.

A reader yields a `FeatureRecord` for each image or video, in the order of its file, and reads as it
is asked. A writer is used in a `with` block, which gives a function that takes records; its files
appear when the block ends well. `graphmatch.datasets.features.formats` lists them all.
"""
