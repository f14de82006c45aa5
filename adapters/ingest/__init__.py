"""How bars get into a catalog: read, check, store whole or not at all, verify, pin by a hash."""
