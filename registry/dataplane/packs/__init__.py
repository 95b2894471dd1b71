"""Packs: many records in few files. FORMAT.md beside this folder has the terms and the bytes on disk."""
