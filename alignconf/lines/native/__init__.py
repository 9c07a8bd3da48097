"""From values of leaves back to fitted models of the libraries they came from: one small writer for each library."""
