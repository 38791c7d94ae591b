"""What lies on disk: the cache, the records, digests of code, atomic writes."""
