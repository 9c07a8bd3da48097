"""A function near the model that has the property, and the band towards it."""
