"""Pull and push: the way to a registry and back, by the OCI distribution specification."""
