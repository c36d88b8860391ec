"""One page a person reads: what a test, a sweep or a study has left, as a single file report.html."""
