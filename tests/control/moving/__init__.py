"""Moving a store, at the library: from one database and place of bytes to others."""
