"""Labelling with a team: what is asked of many annotators at once, in the order in which one would be asked.

Campaigns and leases lie in tables beside the log, so that several services on one database agree on who was given what.
"""

from palate.campaign.campaign import Campaign, Lease
from palate.campaign.campaigns import Campaigns, Progress
from palate.campaign.giving import Given
from palate.campaign.taking import Submission

__all__ = ["Campaign", "Campaigns", "Given", "Lease", "Progress", "Submission"]
