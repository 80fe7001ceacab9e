// A page in memory: encoded, or still as an engine gave it.

package import KVFormat
internal import PageCodec

/// What there is of a page in memory.
package enum PageContent: Sendable {
    /// Its bytes as the engine gave them, which stay as they are as long as the object lives.
    case raw(PageSource, owner: any AnyObject & Sendable)
    /// Its record.
    case record(RecordBytes)
    /// Nothing that can be trusted.
    case none
}

/// A page that is kept in memory while it is encoded and written. Thread-safe.
package protocol HeldPage: AnyObject, Sendable {
    /// What there is of it now. A record stays as it is as long as this object lives.
    var content: PageContent { get }
    /// Keeps the page's record in place of its raw bytes; `content` is the record from then on.
    ///
    /// - Parameter record: it must be copied before the call returns.
    /// - Returns: false when there is no room for it.
    func keep(_ record: RecordBytes) -> Bool
}

/// A page to load, and what there is of it in memory.
package struct HeldLoad: Sendable {
    let load: RecordLoad
    let content: PageContent

    /// Whether nothing of it can be trusted.
    package var isDamaged: Bool { if case .none = content { true } else { false } }

    /// A page to load.
    package init(_ load: RecordLoad, _ content: PageContent) {
        self.load = load
        self.content = content
    }
}

/// What became of a load of pages in memory.
package struct HeldDelivery: Sendable {
    /// How many of the first pages were delivered whole.
    package let delivered: Int
    /// The places of the pages whose records are damaged: they must not be asked for again.
    package let damaged: [Int]
}

extension RecordLoader {
    /// Loads pages that the caller keeps in memory during the call, as `load(_:of:from:control:)` loads those of a
    /// tier: records are decoded and checked, raw bytes are copied.
    ///
    /// - Complexity: one pass over the pages' bytes.
    package func load(_ pages: [HeldLoad], of layout: KVLayout, control: LoadControl = LoadControl()) -> HeldDelivery {
        var there = pages[...]
        if let end = pages.firstIndex(where: \.isDamaged) { there = pages[..<end] }
        var control = control
        if there.count < pages.count { control.onLayersReady = nil }
        let loading = deliver(Array(there), layout, control, nil)
        return HeldDelivery(delivered: loading.delivered, damaged: loading.damage.keys.sorted())
    }
}
