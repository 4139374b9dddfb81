"""Plays the loop and the rankings against known answers, and says how sure the numbers are."""
