"""Runs: files written whole or not at all, and the directories in which long work stands."""
