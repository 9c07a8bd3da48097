"""What a property must answer: demands, projection, what lies between."""
