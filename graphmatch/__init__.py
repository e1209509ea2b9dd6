"""Fine-grained cross-modal matching on graphs."""
