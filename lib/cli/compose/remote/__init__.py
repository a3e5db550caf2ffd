"""A project of which others have a part: one that was fetched is looked at before it may have something of this machine; one is sent."""
