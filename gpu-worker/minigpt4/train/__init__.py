"""`minigpt4-worker train`: only the projection learns. nano's first recipe is in nano/."""
