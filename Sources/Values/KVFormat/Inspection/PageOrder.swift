// In which order pages are listed.

/// The order of a list of pages.
public enum PageOrder: String, Sendable, CaseIterable {
    /// Used last, first.
    case recent
    /// Largest slot on disk first.
    case size
    /// Most hits first.
    case hits
    /// By position in the sequence, the first pages of sequences first.
    case position
}
