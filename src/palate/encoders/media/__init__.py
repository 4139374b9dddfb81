"""Images and sounds: reading files that nobody vouches for, and the models that read both."""
