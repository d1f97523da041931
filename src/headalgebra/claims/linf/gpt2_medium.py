"""GPT-2 Medium, the one model for which the paper gives figures of its own."""

IDS = ("openai-community/gpt2-medium", "gpt2-medium")
"""Of one hub repository, by its name and its former one."""

SHAPE = {"n_layers": 24, "n_heads": 16, "d_model": 1024, "d_head": 64}
"""Of its attention, by the columns of the layer table."""
