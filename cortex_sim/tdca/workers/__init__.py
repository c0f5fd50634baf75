"""Inner runs spread over worker processes, on this machine or on several."""
