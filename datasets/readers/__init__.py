"""Readers and writers of data sets and file formats."""
