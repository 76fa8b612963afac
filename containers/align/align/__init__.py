"""Long audio to text: recognise, search, align, segment, score."""
