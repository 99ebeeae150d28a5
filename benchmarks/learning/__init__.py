"""What learning from feedback withstands."""
