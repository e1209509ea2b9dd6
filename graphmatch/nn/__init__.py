"""Layers and functions that two models or more share."""
