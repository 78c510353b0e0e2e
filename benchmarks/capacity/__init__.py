"""What an installation needs for so many trainings: a simulation fed with measured costs."""
