"""One script per figure, each against a peer in the same run."""
