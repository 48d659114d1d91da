"""What the Trainers of the three stages need."""
