"""Runs: files written whole or not at all, and the directories of long-running work."""
