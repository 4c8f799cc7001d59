"""The hospital's own pages: what arrived, what is held back and why, the account of it. No patient value."""
