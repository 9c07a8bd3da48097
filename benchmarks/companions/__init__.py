"""Four systems that the project's sources name, at toy size, each with a referee and the controls that could explain it away."""
