// Where a page stands in the eviction order of a tier.

/// A class of pages, and a time in it: that of the last use, or another time that a tier has put in its place. Pages of
/// a class are evicted in the order of their times. A value type.
package struct EvictionPlace: Hashable, Sendable {
    /// See `PageUse.useClass`.
    package var useClass: Int
    /// Milliseconds since the Unix epoch.
    package var time: Int64

    /// The place that a page's own use gives it.
    package init(_ use: PageUse) { self.init(useClass: use.useClass, time: use.last) }

    /// A place from its fields.
    package init(useClass: Int, time: Int64) {
        self.useClass = useClass
        self.time = time
    }
}
