"""Content or history in, vectors out.

Text becomes a vector by a pretrained language model (:func:`palate.encoders.registry.load_encoder`), kept by content
hash (:class:`palate.encoders.cache.Cached`); what a person did becomes a vector by the items' vectors
(:func:`palate.encoders.histories.history.encode_histories`). Importing this package imports no model and no large
library.
"""
