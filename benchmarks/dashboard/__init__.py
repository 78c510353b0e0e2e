"""What the dashboard costs for an experiment of ten thousand observations."""
