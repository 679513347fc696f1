"""`kept bench`: KEPT beside its peers, side by side in one run."""
