"""The pages for people: HTML from templates, a little plain JavaScript, nothing from any other host."""
