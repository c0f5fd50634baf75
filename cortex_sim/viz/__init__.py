"""For eyes: networks as tables (`tables`) and drawings (`drawing`)."""
