"""The page on which people watch a daemon and tell it to stop: plain files, served by itself."""
