// `import PrefixStore` brings the vocabulary (layouts, identities, prefix hashes, what an inspector shows, errors) with
// it.

@_exported public import KVFormat
