"""Why an item is in a list, in words of English and Chinese: reasons that are true, and differ.

:mod:`palate.loop.reasons.of_list` gives the reasons of a whole list, :mod:`palate.loop.reasons.reason` is what one is.
"""
