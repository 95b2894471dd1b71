"""Folders for media that give their bytes back when somebody has fetched them: tapes, shelves."""
