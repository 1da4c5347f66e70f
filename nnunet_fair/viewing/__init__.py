"""Looking at single cases in a browser, on this machine only."""
