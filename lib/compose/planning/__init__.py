"""From what the file wants and what is there to what has to be done, by pure functions. Here nothing is done."""
