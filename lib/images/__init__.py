"""The suitcase: references, digests, the store, layers packed and unpacked, the library of names."""
