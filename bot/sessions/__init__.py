"""What a session of the daemon leaves behind, and how it is lived through again."""
