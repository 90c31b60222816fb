"""MiniGPT-4: the model, its engine plugin and its HTTP face."""
