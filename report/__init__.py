"""One page a person reads, report.html: what a test, a sweep or a study has left, in one file."""
