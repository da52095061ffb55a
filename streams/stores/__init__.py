"""State stores: key-value, window, session and versioned, in memory or over an ordered map of bytes (RocksDB)."""
