"""The study: configuration, plugin registry, files, stages. Files, clocks and randomness enter here."""
