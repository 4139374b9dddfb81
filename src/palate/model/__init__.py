"""What a batch fit leaves behind, and the fit itself."""
