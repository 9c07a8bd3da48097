"""A motor tariff with rules: frequency, severity and pure premium of freMTPL2, or of a made portfolio whose truth is known."""
