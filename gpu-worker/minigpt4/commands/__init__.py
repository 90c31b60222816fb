"""The subcommands of `minigpt4-worker`: each adds its arguments, and runs."""
