"""One command per figure. Ratios of one run are what counts; rates of different machines are not compared."""
