"""Does the plan hold what the order in force asks for? One module per topic of the catalogue."""
