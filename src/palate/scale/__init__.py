"""Past one machine's memory: data as shards on disk, and what reads them."""
