"""Inference with Triton: its server on this machine, the model repository, and the client that stages use."""
