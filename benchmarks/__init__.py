"""Side-by-side timings against the libraries that a learner would use instead. `make bench` runs them all."""
