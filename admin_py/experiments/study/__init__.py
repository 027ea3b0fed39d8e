"""Studies: schemes side by side, with every analysis and a report."""
