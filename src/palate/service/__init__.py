"""The HTTP service: :class:`palate.Recommender` behind keys, limits and time-outs. Needs the extra ``serve``."""
