"""What a model needs on the Hugging Face Hub: its card."""
