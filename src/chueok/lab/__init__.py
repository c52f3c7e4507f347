"""How good is a model, and can it be better: distillation, quantisation, evaluation. The product never imports this."""
