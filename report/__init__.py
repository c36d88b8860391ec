"""One page a person reads: what a test, a sweep or a study has left, in one file, report.html."""
