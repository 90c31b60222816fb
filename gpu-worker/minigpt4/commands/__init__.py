"""The subcommands of `minigpt4-worker`. Each module adds its arguments and runs its command."""
