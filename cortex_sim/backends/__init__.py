"""What runs a declared network: ``torch`` for training at scale."""
