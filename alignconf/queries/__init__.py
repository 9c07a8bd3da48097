"""What a tester asks at a row, and how far the answer is from being accepted."""
