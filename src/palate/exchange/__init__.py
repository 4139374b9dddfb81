"""The log as files, and files into the log: our own formats, which lose nothing, and those of annotation tools."""
