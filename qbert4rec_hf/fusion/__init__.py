"""Stage 1: text, image and structure of an item become one embedding."""
