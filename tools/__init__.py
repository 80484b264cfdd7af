"""What works on the repository itself; not part of the package."""
