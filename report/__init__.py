"""One page a person reads: what a test or a sweep has left, as a single file report.html."""
