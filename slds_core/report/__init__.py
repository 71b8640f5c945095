"""The report: figures and one HTML page, from files alone. Nothing here knows JAX."""
