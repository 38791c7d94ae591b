"""From a method and data to predictions: fits, the evaluator, attacks, devices."""
