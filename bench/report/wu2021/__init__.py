"""What belongs to one paper: Wu, Goodman and Ermon, NeurIPS 2021."""
