"""What the README says of speed, from one command."""
