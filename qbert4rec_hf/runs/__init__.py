"""What a run and its stage folders are, and the stages in their order."""
