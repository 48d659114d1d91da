"""A small shop window for a Q-BERT4Rec model: what its Space shows."""
