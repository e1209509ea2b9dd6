"""Which word pieces and which regions a model must guess in pre-training."""
