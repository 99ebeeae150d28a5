"""The caption service: a Django site around the captioner. See ARCHITECTURE.md."""
