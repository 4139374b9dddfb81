"""The rounds of a federated line over HTTP: devices enrol, send what a round needs, and fetch what is public."""
