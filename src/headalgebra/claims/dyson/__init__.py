"""What *From Embeddings to Dyson Series* claims: transformers as non-Hermitian operators."""
