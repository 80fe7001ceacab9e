// A page that is on disk, as a match finds it.

package import KVFormat

/// A page that a match found.
package struct ColdPage: Sendable, Equatable {
    /// Its prefix hash.
    package let hash: PrefixHash
    /// Position of its first token in the sequence.
    package let firstToken: Int
    /// Number of tokens in the page.
    package let tokenCount: Int
    /// How many of them, from the first on, equal those of the request. Only in the last page it may be less than
    /// `tokenCount`.
    package let matchedTokens: Int
    /// Milliseconds since the Unix epoch from which on the page is a miss; 0 for never.
    package let expiry: Int64
    /// Whether the request continues in another way than earlier ones, inside this page or behind it. Only in the last
    /// page.
    package internal(set) var isBranchPoint = false
}
