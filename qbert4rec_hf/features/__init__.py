"""Item features: text, image and structure as vectors, by modality and item."""
