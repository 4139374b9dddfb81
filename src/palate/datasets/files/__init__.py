"""Files that nobody vouches for: read within limits, line by line, with every refused row counted."""
