"""From a catalog to what the learning plane works on, and from there to bundles."""
