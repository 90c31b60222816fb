"""`minigpt4-worker train` trains a model's projection. nano/ has nano's first trainer."""
