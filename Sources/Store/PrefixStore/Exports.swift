// `import PrefixStore` brings the vocabulary (layouts, identities, prefix hashes, errors) with it.

@_exported public import ColdTier
@_exported public import KVFormat
