"""The words that all rooms share: documents, ids, paths, names, states and rules. Standard library only."""
