"""Fine-tuning: a model learns one's own labelled people, and is offered only where that made it better."""
