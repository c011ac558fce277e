"""What a server is: one module per subject."""
