"""One person in time: what was told, what it makes of the belief, and what to ask and to show next."""
