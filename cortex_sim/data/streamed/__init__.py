"""Labelled pictures that stay on disk: folders and tar shards, decoded when they are requested."""
