// A page that is on disk, as a match finds it.

package import KVFormat

/// A page that a match found.
package struct ColdPage: Sendable, Equatable {
    /// Its prefix hash.
    package let hash: PrefixHash
    /// Position of its first token in the sequence.
    package let firstToken: Int
    /// Tokens it holds.
    package let tokenCount: Int
    /// How many of them, from the first on, are those of the request. Less than `tokenCount` in the last page only.
    package let matchedTokens: Int
    /// Milliseconds since the Unix epoch from which on the page is a miss; 0 for never.
    package let expiry: Int64
    /// Whether the request goes another way here, inside the page or behind it, than those before. In the last page
    /// only.
    package internal(set) var isBranchPoint = false
}
