"""Tables of the SQLite index. `live` of a pack is kept by triggers, so that no path can forget it."""

from __future__ import annotations

VERSION = 2

_NEW_LIVE = "UPDATE packs SET live = live + NEW.stored WHERE id = NEW.pack;"
_OLD_LIVE = "UPDATE packs SET live = live - OLD.stored WHERE id = OLD.pack;"

SCHEMA = f"""
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE domains (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);

-- No id is ever given twice: somebody may still hold one.
CREATE TABLE packs (
  id INTEGER PRIMARY KEY AUTOINCREMENT, uuid BLOB NOT NULL UNIQUE, domain TEXT NOT NULL,
  state INTEGER NOT NULL, size INTEGER NOT NULL, payload INTEGER NOT NULL,
  live INTEGER NOT NULL DEFAULT 0, changed INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX packs_at_work ON packs (state) WHERE state <> 3;

CREATE TABLE objects (
  domain INTEGER NOT NULL, address BLOB NOT NULL, pack INTEGER NOT NULL, offset INTEGER NOT NULL,
  stored INTEGER NOT NULL, raw INTEGER NOT NULL, kind INTEGER NOT NULL,
  PRIMARY KEY (domain, address, pack, offset)
) WITHOUT ROWID;

-- pack is null for a chunk that recipes name and no pack holds (any more).
CREATE TABLE chunks (
  domain INTEGER NOT NULL, digest BLOB NOT NULL, pack INTEGER, offset INTEGER,
  stored INTEGER NOT NULL DEFAULT 0, raw INTEGER NOT NULL DEFAULT 0, kind INTEGER NOT NULL DEFAULT 2,
  refs INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (domain, digest)
) WITHOUT ROWID;
CREATE INDEX idle_lists ON chunks (domain, digest) WHERE kind = 4 AND refs = 0;
CREATE INDEX lost_chunks ON chunks (domain, digest) WHERE pack IS NULL;

-- Records that were taken out, and whose tombstones are not known to be synced.
CREATE TABLE owed (
  domain INTEGER NOT NULL, digest BLOB NOT NULL, pack BLOB NOT NULL, offset INTEGER NOT NULL,
  kind INTEGER NOT NULL,
  PRIMARY KEY (domain, digest, pack, offset)
) WITHOUT ROWID;

CREATE TRIGGER object_added AFTER INSERT ON objects BEGIN {_NEW_LIVE} END;
CREATE TRIGGER object_gone AFTER DELETE ON objects BEGIN {_OLD_LIVE} END;
CREATE TRIGGER chunk_added AFTER INSERT ON chunks WHEN NEW.refs > 0 BEGIN {_NEW_LIVE} END;
CREATE TRIGGER chunk_gone AFTER DELETE ON chunks WHEN OLD.refs > 0 BEGIN {_OLD_LIVE} END;
CREATE TRIGGER chunk_idle AFTER UPDATE ON chunks
  WHEN OLD.refs > 0 AND (NEW.refs = 0 OR NEW.pack IS NOT OLD.pack) BEGIN {_OLD_LIVE} END;
CREATE TRIGGER chunk_used AFTER UPDATE ON chunks
  WHEN NEW.refs > 0 AND (OLD.refs = 0 OR NEW.pack IS NOT OLD.pack) BEGIN {_NEW_LIVE} END;

PRAGMA user_version = {VERSION};
"""
