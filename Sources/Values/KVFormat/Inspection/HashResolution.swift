// From the first digits of a hash, as people type it, to the hash.

/// What the first digits of a hash stand for.
public enum HashResolution: Sendable, Equatable {
    /// Nothing begins with them, or they are no hexadecimal digits.
    case none
    /// One hash does.
    case unique(PrefixHash)
    /// Several do; the first of them.
    case ambiguous([PrefixHash])
}
