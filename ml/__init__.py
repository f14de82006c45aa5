"""The learning plane: from the catalog to a bundle."""
