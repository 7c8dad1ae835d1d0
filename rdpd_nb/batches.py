from .draws import noise_series  # noqa: F401  old name, goes in phase 2
