"""What the stages are measured against, each a program of its own that imports nothing of ours."""
